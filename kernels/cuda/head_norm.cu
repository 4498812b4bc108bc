// RMSNorm over heads: a warp a head. Backward sums dweight as rms_norm.cu does, with one row of shared memory a warp.
#include "kernels/head_norm.h"

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace weft::cuda {
namespace {

constexpr int kWarps = kThreads / kWarp;
constexpr int kHeadVector = 4;  // a warp covers a head of 128 at once

struct Layout {  // of heads inside rows; `heads` numbers all heads of all tokens, token by token
  int64_t width, column, num_heads, head_dim;
  __device__ int64_t At(int64_t head) const {
    return head / num_heads * width + column + head % num_heads * head_dim;
  }
};

Layout LayoutOf(const ConstHeads& heads) {
  return {heads.rows.dim(1), heads.column, heads.num_heads, heads.head_dim};
}

// Whether these heads may be accessed in vectors of kHeadVector.
bool AreAligned(const ConstHeads& heads) {
  return CanVectorize(kHeadVector, heads.head_dim, heads.rows.raw()) && heads.rows.dim(1) % kHeadVector == 0 &&
         heads.column % kHeadVector == 0;
}

// y may be x: a lane reads its elements before it writes them.
template <typename T, int n>
__global__ void ForwardKernel(const T* x, Layout x_layout, const T* weight, T* y, Layout y_layout, float* rstd,
                              int64_t heads, float eps) {
  const int64_t head = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (head >= heads) return;
  const int lane = threadIdx.x % kWarp;
  const int64_t d = x_layout.head_dim;
  const T* from = x + x_layout.At(head);
  T* to = y + y_layout.At(head);
  float squares = 0;
  for (int64_t i = lane * n; i < d; i += kWarp * n) {
    float value[n];
    Load<n>(from + i, value);
#pragma unroll
    for (int j = 0; j < n; ++j) squares += value[j] * value[j];
  }
  const float scale = 1.0f / sqrtf(WarpSum(squares) / static_cast<float>(d) + eps);
  if (lane == 0) rstd[head] = scale;
  for (int64_t i = lane * n; i < d; i += kWarp * n) {
    float value[n], w[n];
    Load<n>(from + i, value);
    Load<n>(weight + i, w);
#pragma unroll
    for (int j = 0; j < n; ++j) value[j] = value[j] * scale * w[j];
    Store<n>(to + i, value);
  }
}

template <typename T>
struct Backward {
  const T *dy, *x, *weight;
  const float* rstd;
  T* dx;               // may be dy
  Layout dy_layout, x_layout, dx_layout;
  float* partials;     // [blocks, head_dim], or null
  int64_t heads;       // of all tokens
};

template <typename T, int n>
__global__ void BackwardKernel(Backward<T> a) {
  extern __shared__ float shared[];  // [kWarps, head_dim]: each warp's share of dweight
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t d = a.x_layout.head_dim;
  float* columns = shared + warp * d;
  for (int64_t i = lane * n; i < d; i += kWarp * n) {
    for (int j = 0; j < n; ++j) columns[i + j] = 0;
  }
  for (int64_t head = int64_t{blockIdx.x} * kWarps + warp; head < a.heads; head += int64_t{gridDim.x} * kWarps) {
    const T* dy = a.dy + a.dy_layout.At(head);
    const T* x = a.x + a.x_layout.At(head);
    T* dx = a.dx + a.dx_layout.At(head);
    const float scale = a.rstd[head];
    float dot = 0;
    for (int64_t i = lane * n; i < d; i += kWarp * n) {
      float g[n], h[n], w[n];
      Load<n>(dy + i, g);
      Load<n>(x + i, h);
      Load<n>(a.weight + i, w);
#pragma unroll
      for (int j = 0; j < n; ++j) {
        dot += g[j] * w[j] * (h[j] * scale);
        columns[i + j] += g[j] * (h[j] * scale);
      }
    }
    const float mean = WarpSum(dot) / static_cast<float>(d);
    for (int64_t i = lane * n; i < d; i += kWarp * n) {
      float g[n], h[n], w[n];
      Load<n>(dy + i, g);
      Load<n>(x + i, h);
      Load<n>(a.weight + i, w);
#pragma unroll
      for (int j = 0; j < n; ++j) g[j] = scale * (g[j] * w[j] - h[j] * scale * mean);
      Store<n>(dx + i, g);
    }
  }
  if (a.partials == nullptr) return;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < d; i += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += shared[w * d + i];
    a.partials[blockIdx.x * d + i] = sum;
  }
}

}  // namespace

void HeadNormForward(Stream& stream, const HeadNormForwardArgs& args) {
  const int64_t heads = args.x.rows.dim(0) * args.x.num_heads;
  if (heads * args.x.head_dim == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.x.rows.dtype(), [&](auto element) {
    using T = decltype(element);
    const bool vectors = AreAligned(args.x) && AreAligned(args.y) && CanVectorize(1, 1, args.weight.raw());
    auto* kernel = vectors ? ForwardKernel<T, kHeadVector> : ForwardKernel<T, 1>;
    kernel<<<static_cast<unsigned>(CeilDiv(heads, kWarps)), kThreads, 0, native>>>(
        static_cast<const T*>(args.x.rows.raw()), LayoutOf(args.x), static_cast<const T*>(args.weight.raw()),
        static_cast<T*>(args.y.rows.raw()), LayoutOf(args.y), args.rstd.data<float>(), heads, args.eps);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void HeadNormBackward(Stream& stream, const HeadNormBackwardArgs& args) {
  const int64_t heads = args.x.rows.dim(0) * args.x.num_heads, d = args.x.head_dim;
  if (heads * d == 0) return;
  const cudaStream_t native = Native(stream);
  const int64_t num_blocks = std::min(CeilDiv(heads, kWarps), kPartialRows);
  TensorView partials;
  if (!args.dweight.empty()) {
    const TensorView workspace = stream.Workspace(num_blocks * d * sizeof(float));
    partials = TensorView(workspace.raw(), {num_blocks, d}, DType::kF32, workspace.device());
  }
  WithElement(args.x.rows.dtype(), [&](auto element) {
    using T = decltype(element);
    const bool vectors = AreAligned(args.x) && AreAligned(args.dy) && AreAligned(args.dx) &&
                         CanVectorize(1, 1, args.weight.raw());
    auto* kernel = vectors ? BackwardKernel<T, kHeadVector> : BackwardKernel<T, 1>;
    const size_t shared = kWarps * d * sizeof(float);
    WEFT_CUDA_CALL(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
    kernel<<<static_cast<unsigned>(num_blocks), kThreads, shared, native>>>(Backward<T>{
        static_cast<const T*>(args.dy.rows.raw()), static_cast<const T*>(args.x.rows.raw()),
        static_cast<const T*>(args.weight.raw()), args.rstd.data<float>(), static_cast<T*>(args.dx.rows.raw()),
        LayoutOf(args.dy), LayoutOf(args.x), LayoutOf(args.dx), static_cast<float*>(partials.raw()), heads});
  });
  WEFT_CUDA_CHECK_LAUNCH();
  if (!args.dweight.empty()) AddColumnSums(stream, partials, args.dweight);
}

}  // namespace weft::cuda
