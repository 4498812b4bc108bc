// LayerNorm: a block a row. Backward also sums dweight and dbias: each block keeps the columns' partial sums of its rows in
// shared memory, and a second kernel adds the blocks' sums in a fixed order.
#include "kernels/layer_norm.h"

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace weft::cuda {
namespace {

// What is normalised is the sum as rounded to T, the value backward will read again. `sum` may be x: a thread reads
// and writes its own elements only. The squares are those around the mean, so that a mean far from zero costs no digits.
template <typename T, int n>
__global__ void ForwardKernel(const T* x, const T* delta, const T* weight, const T* bias, T* sum, T* y, float* means,
                              float* rstd, int64_t d, float eps) {
  const int64_t row = int64_t{blockIdx.x} * d;
  float total = 0;
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
    for (int j = 0; j < n; ++j) total += value[j];
  }
  const T* normalised = delta != nullptr ? sum : x;
  const float mean = BlockSum(total) / static_cast<float>(d);
  float squares = 0;
  for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
    float value[n];
    Load<n>(normalised + row + i, value);
#pragma unroll
    for (int j = 0; j < n; ++j) squares += (value[j] - mean) * (value[j] - mean);
  }
  const float scale = 1.0f / sqrtf(BlockSum(squares) / static_cast<float>(d) + eps);
  if (threadIdx.x == 0) {
    means[blockIdx.x] = mean;
    rstd[blockIdx.x] = scale;
  }
  for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
    float value[n], w[n], b[n];
    Load<n>(normalised + row + i, value);
    Load<n>(weight + i, w);
    Load<n>(bias + i, b);
#pragma unroll
    for (int j = 0; j < n; ++j) value[j] = (value[j] - mean) * scale * w[j] + b[j];
    Store<n>(y + row + i, value);
  }
}

// What of a row its gradient needs: with h = (x - mean) rstd and g = dy weight, the means of g h and of g.
struct RowMeans {
  float gh, g;
};

// Adds the row's dy h and dy to `columns` [2, d], this block's share of dweight and dbias, unless it is null.
template <typename T, int n>
__device__ RowMeans SumRow(const T* dy, const T* x, const T* weight, float mean, float scale, float* columns, int64_t d) {
  float gh = 0, g = 0;
  for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
    float grad[n], h[n], w[n];
    Load<n>(dy + i, grad);
    Load<n>(x + i, h);
    Load<n>(weight + i, w);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      h[j] = (h[j] - mean) * scale;
      gh += grad[j] * w[j] * h[j];
      g += grad[j] * w[j];
      if (columns != nullptr) {
        columns[i + j] += grad[j] * h[j];
        columns[d + i + j] += grad[j];
      }
    }
  }
  const float width = static_cast<float>(d);
  gh = BlockSum(gh) / width;
  return {gh, BlockSum(g) / width};
}

// dx = dsum + rstd (g - mean(g) - h mean(g h)); partials [2, gridDim.x, d]: each block's sums of dy h and of dy.
// Each thread owns the same columns in every row, so `columns` needs no barrier. dx may be dsum.
template <typename T, int n>
__global__ void BackwardKernel(const T* dy, const T* dsum, const T* x, const T* weight, const float* means,
                               const float* rstd, T* dx, float* partials, int64_t rows, int64_t d) {
  extern __shared__ float shared[];  // [2, d]; absent when partials is null
  float* columns = partials != nullptr ? shared : nullptr;
  for (int64_t i = threadIdx.x * n; columns != nullptr && i < d; i += kThreads * n) {
    for (int j = 0; j < n; ++j) columns[i + j] = columns[d + i + j] = 0;
  }
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const int64_t row = r * d;
    const float mean = means[r], scale = rstd[r];
    const RowMeans of_row = SumRow<T, n>(dy + row, x + row, weight, mean, scale, columns, d);
    for (int64_t i = threadIdx.x * n; i < d; i += kThreads * n) {
      float g[n], h[n], w[n];
      Load<n>(dy + row + i, g);
      Load<n>(x + row + i, h);
      Load<n>(weight + i, w);
#pragma unroll
      for (int j = 0; j < n; ++j) g[j] = scale * (g[j] * w[j] - of_row.g - (h[j] - mean) * scale * of_row.gh);
      if (dsum != nullptr) {
        float above[n];
        Load<n>(dsum + row + i, above);
#pragma unroll
        for (int j = 0; j < n; ++j) g[j] += above[j];
      }
      Store<n>(dx + row + i, g);
    }
  }
  for (int64_t i = threadIdx.x * n; columns != nullptr && i < d; i += kThreads * n) {
    for (int j = 0; j < n; ++j) {
      partials[blockIdx.x * d + i + j] = columns[i + j];
      partials[(int64_t{gridDim.x} + blockIdx.x) * d + i + j] = columns[d + i + j];
    }
  }
}

template <typename T>
void LaunchBackward(cudaStream_t stream, const LayerNormBackwardArgs& args, float* partials, int64_t num_blocks) {
  const int64_t rows = args.x.dim(0), d = args.x.dim(1);
  const auto* dy = static_cast<const T*>(args.dy.raw());
  const auto* dsum = static_cast<const T*>(args.dsum.raw());
  const auto* x = static_cast<const T*>(args.x.raw());
  const auto* weight = static_cast<const T*>(args.weight.raw());
  auto* dx = static_cast<T*>(args.dx.raw());
  auto* kernel = CanVectorize(kVector, d, dy, dsum, x, weight, dx) ? BackwardKernel<T, kVector> : BackwardKernel<T, 1>;
  const size_t shared = partials != nullptr ? 2 * d * sizeof(float) : 0;
  WEFT_CUDA_CALL(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  kernel<<<static_cast<unsigned>(num_blocks), kThreads, shared, stream>>>(
      dy, dsum, x, weight, args.mean.data<float>(), args.rstd.data<float>(), dx, partials, rows, d);
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace

void LayerNormForward(Stream& stream, const LayerNormForwardArgs& args) {
  const int64_t rows = args.x.dim(0), d = args.x.dim(1);
  if (rows * d == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.x.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* x = static_cast<const T*>(args.x.raw());
    const auto* delta = static_cast<const T*>(args.delta.raw());
    const auto* weight = static_cast<const T*>(args.weight.raw());
    const auto* bias = static_cast<const T*>(args.bias.raw());
    auto* sum = static_cast<T*>(args.sum.raw());
    auto* y = static_cast<T*>(args.y.raw());
    auto* kernel =
        CanVectorize(kVector, d, x, delta, weight, bias, sum, y) ? ForwardKernel<T, kVector> : ForwardKernel<T, 1>;
    kernel<<<static_cast<unsigned>(rows), kThreads, 0, native>>>(x, delta, weight, bias, sum, y, args.mean.data<float>(),
                                                               args.rstd.data<float>(), d, args.eps);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void LayerNormBackward(Stream& stream, const LayerNormBackwardArgs& args) {
  const int64_t rows = args.x.dim(0), d = args.x.dim(1);
  if (rows * d == 0) return;
  const cudaStream_t native = Native(stream);
  const int64_t num_blocks = std::min(rows, kPartialRows);
  TensorView partials;  // [2 num_blocks, d]: dweight's, then dbias's
  if (!args.dweight.empty()) {
    const TensorView workspace = stream.Workspace(2 * num_blocks * d * sizeof(float));
    partials = TensorView(workspace.raw(), {2 * num_blocks, d}, DType::kF32, workspace.device());
  }
  WithElement(args.x.dtype(), [&](auto element) {
    LaunchBackward<decltype(element)>(native, args, static_cast<float*>(partials.raw()), num_blocks);
  });
  if (args.dweight.empty()) return;
  AddColumnSums(stream, partials.Rows(0, num_blocks), args.dweight);
  AddColumnSums(stream, partials.Rows(num_blocks, 2 * num_blocks), args.dbias);
}

}  // namespace weft::cuda
