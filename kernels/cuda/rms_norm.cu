// RMSNorm: a block a row. Backward also sums dweight: each block keeps the columns' partial sums of its rows in shared
// memory, and a second kernel adds the blocks' sums in a fixed order.
#include "kernels/rms_norm.h"

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace weft::cuda {
namespace {

// What is normalised is the sum as rounded to T, the value backward will read again. `sum` may be x: a thread reads
// and writes its own elements only.
template <typename T, int n>
__global__ void ForwardKernel(const T* x, const T* delta, const T* weight, T* sum, T* y, float* rstd, int64_t d,
                              float eps) {
  const int64_t row = int64_t{blockIdx.x} * d;
  float squares = 0;
  for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
    float value[n];
    Load<n>(x + row + i, value);
    if (delta != nullptr) {
      float add[n];
      Load<n>(delta + row + i, add);
#pragma unroll
      for (int j = 0; j < n; ++j) value[j] = ToFloat(FromFloat<T>(value[j] + add[j]));
      Store<n>(sum + row + i, value);
    }
#pragma unroll
    for (int j = 0; j < n; ++j) squares += value[j] * value[j];
  }
  const float scale = 1.0f / sqrtf(BlockSum(squares) / static_cast<float>(d) + eps);
  if (threadIdx.x == 0) rstd[blockIdx.x] = scale;
  const T* normalised = delta != nullptr ? sum : x;
  for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
    float value[n], w[n];
    Load<n>(normalised + row + i, value);
    Load<n>(weight + i, w);
#pragma unroll
    for (int j = 0; j < n; ++j) value[j] = value[j] * scale * w[j];
    Store<n>(y + row + i, value);
  }
}

// With h = x rstd and g = dy weight: dx = dsum + rstd (g - h mean(g h)), dweight = sum over rows of dy h.
// Each thread owns the same columns in every row, so `columns` needs no barrier. dx may be dsum.
template <typename T, int n>
__global__ void BackwardKernel(const T* dy, const T* dsum, const T* x, const T* weight, const float* rstd, T* dx,
                               float* partials, int64_t rows, int64_t d) {
  extern __shared__ float columns[];  // [d]: this block's share of dweight; absent when partials is null
  if (partials != nullptr) {
    for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
      for (int j = 0; j < n; ++j) columns[i + j] = 0;
    }
  }
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const int64_t row = r * d;
    const float scale = rstd[r];
    float dot = 0;
    for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
      float g[n], h[n], w[n];
      Load<n>(dy + row + i, g);
      Load<n>(x + row + i, h);
      Load<n>(weight + i, w);
#pragma unroll
      for (int j = 0; j < n; ++j) {
        dot += g[j] * w[j] * (h[j] * scale);
        if (partials != nullptr) columns[i + j] += g[j] * (h[j] * scale);
      }
    }
    const float mean = BlockSum(dot) / static_cast<float>(d);
    for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
      float g[n], h[n], w[n];
      Load<n>(dy + row + i, g);
      Load<n>(x + row + i, h);
      Load<n>(weight + i, w);
#pragma unroll
      for (int j = 0; j < n; ++j) g[j] = scale * (g[j] * w[j] - h[j] * scale * mean);
      if (dsum != nullptr) {
        float above[n];
        Load<n>(dsum + row + i, above);
#pragma unroll
        for (int j = 0; j < n; ++j) g[j] += above[j];
      }
      Store<n>(dx + row + i, g);
    }
  }
  if (partials != nullptr) {
    for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
      for (int j = 0; j < n; ++j) partials[blockIdx.x * d + i + j] = columns[i + j];
    }
  }
}

template <typename T>
void LaunchBackward(cudaStream_t stream, const RmsNormBackwardArgs& args, float* partials, int64_t num_blocks) {
  const int64_t rows = args.x.dim(0), d = args.x.dim(1);
  const auto* dy = static_cast<const T*>(args.dy.raw());
  const auto* dsum = static_cast<const T*>(args.dsum.raw());
  const auto* x = static_cast<const T*>(args.x.raw());
  const auto* weight = static_cast<const T*>(args.weight.raw());
  auto* dx = static_cast<T*>(args.dx.raw());
  auto* kernel = CanVectorize(kVector, d, dy, dsum, x, weight, dx) ? BackwardKernel<T, kVector> : BackwardKernel<T, 1>;
  const size_t shared = partials != nullptr ? d * sizeof(float) : 0;
  WEFT_CUDA_CALL(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  kernel<<<static_cast<unsigned>(num_blocks), kThreads, shared, stream>>>(dy, dsum, x, weight, args.rstd.data<float>(),
                                                                         dx, partials, rows, d);
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace

void RmsNormForward(Stream& stream, const RmsNormForwardArgs& args) {
  const int64_t rows = args.x.dim(0), d = args.x.dim(1);
  if (rows * d == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.x.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* x = static_cast<const T*>(args.x.raw());
    const auto* delta = static_cast<const T*>(args.delta.raw());
    const auto* weight = static_cast<const T*>(args.weight.raw());
    auto* sum = static_cast<T*>(args.sum.raw());
    auto* y = static_cast<T*>(args.y.raw());
    auto* kernel =
        CanVectorize(kVector, d, x, delta, weight, sum, y) ? ForwardKernel<T, kVector> : ForwardKernel<T, 1>;
    kernel<<<static_cast<unsigned>(rows), kThreads, 0, native>>>(x, delta, weight, sum, y, args.rstd.data<float>(), d,
                                                               args.eps);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void RmsNormBackward(Stream& stream, const RmsNormBackwardArgs& args) {
  const int64_t rows = args.x.dim(0), d = args.x.dim(1);
  if (rows * d == 0) return;
  const cudaStream_t native = Native(stream);
  const int64_t num_blocks = std::min(rows, kPartialRows);
  TensorView partials;
  if (!args.dweight.empty()) {
    const TensorView workspace = stream.Workspace(num_blocks * d * sizeof(float));
    partials = TensorView(workspace.raw(), {num_blocks, d}, DType::kF32, workspace.device());
  }
  WithElement(args.x.dtype(), [&](auto element) {
    LaunchBackward<decltype(element)>(native, args, static_cast<float*>(partials.raw()), num_blocks);
  });
  if (!args.dweight.empty()) AddColumnSums(stream, partials, args.dweight);
}

}  // namespace weft::cuda
