// Bias: added in one pass; its gradient in two steps of fixed order, partial sums of row ranges and their sum.
#include "kernels/bias.h"

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

template <typename T, int n>
__global__ void AddBiasKernel(T* y, const T* bias, int64_t rows, int64_t width) {
  const int64_t vectors = width / n;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < rows * vectors; i += stride) {
    float value[n], b[n];
    Load<n>(y + i * n, value);
    Load<n>(bias + i % vectors * n, b);
#pragma unroll
    for (int j = 0; j < n; ++j) value[j] += b[j];
    Store<n>(y + i * n, value);
  }
}

// partials[blockIdx.y] [width] f32: column sums of this block's range of rows; a thread owns n columns.
template <typename T, int n>
__global__ void PartialSumKernel(const T* dy, float* partials, int64_t rows, int64_t width, int64_t rows_per_block) {
  const int64_t column = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * n;
  if (column >= width) return;
  const int64_t begin = blockIdx.y * rows_per_block;
  const int64_t end = min(begin + rows_per_block, rows);
  float sum[n] = {};
  for (int64_t r = begin; r < end; ++r) {
    float value[n];
    Load<n>(dy + r * width + column, value);
#pragma unroll
    for (int j = 0; j < n; ++j) sum[j] += value[j];
  }
  Store<n>(partials + blockIdx.y * width + column, sum);
}

}  // namespace

void AddBias(Stream& stream, const AddBiasArgs& args) {
  const int64_t rows = args.y.dim(0), width = args.y.dim(1);
  if (rows * width == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.y.dtype(), [&](auto element) {
    using T = decltype(element);
    auto* y = static_cast<T*>(args.y.raw());
    const auto* bias = static_cast<const T*>(args.bias.raw());
    if (CanVectorize(kVector, width, y, bias)) {
      AddBiasKernel<T, kVector><<<GridFor(rows * width / kVector), kThreads, 0, native>>>(y, bias, rows, width);
    } else {
      AddBiasKernel<T, 1><<<GridFor(rows * width), kThreads, 0, native>>>(y, bias, rows, width);
    }
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void BiasGrad(Stream& stream, const BiasGradArgs& args) {
  const int64_t rows = args.dy.dim(0), width = args.dy.dim(1);
  if (rows * width == 0) return;
  const cudaStream_t native = Native(stream);
  const int64_t rows_per_block = CeilDiv(rows, kPartialRows);
  const int64_t num_partials = CeilDiv(rows, rows_per_block);
  const TensorView workspace = stream.Workspace(num_partials * width * sizeof(float));
  const TensorView partials(workspace.raw(), {num_partials, width}, DType::kF32, workspace.device());
  WithElement(args.dy.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* dy = static_cast<const T*>(args.dy.raw());
    const int n = CanVectorize(kVector, width, dy) ? kVector : 1;
    const dim3 grid(static_cast<unsigned>(CeilDiv(width, kThreads * n)), static_cast<unsigned>(num_partials));
    auto* kernel = n == kVector ? PartialSumKernel<T, kVector> : PartialSumKernel<T, 1>;
    kernel<<<grid, kThreads, 0, native>>>(dy, partials.data<float>(), rows, width, rows_per_block);
  });
  WEFT_CUDA_CHECK_LAUNCH();
  AddColumnSums(stream, partials, args.dbias);
}

}  // namespace weft::cuda
