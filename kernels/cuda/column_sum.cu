// Column sums of an f32 matrix with few rows: each block sums kWarp columns, its warps taking rows in turn.
#include "kernels/cuda/column_sum.h"

#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

constexpr int kLanes = kThreads / kWarp;  // rows in flight

__global__ void ColumnSumKernel(const float* rows, float* sum, int64_t num_rows, int64_t n) {
  __shared__ float partial[kLanes][kWarp];
  const int64_t column = int64_t{blockIdx.x} * kWarp + threadIdx.x;
  float total = 0;
  if (column < n) {
    for (int64_t r = threadIdx.y; r < num_rows; r += kLanes) total += rows[r * n + column];
  }
  partial[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || column >= n) return;
  for (int lane = 1; lane < kLanes; ++lane) total += partial[lane][threadIdx.x];
  sum[column] += total;
}

}  // namespace

void AddColumnSums(Stream& stream, ConstTensorView rows, TensorView sum) {
  const int64_t num_rows = rows.dim(0), n = rows.dim(1);
  if (num_rows * n == 0) return;
  ColumnSumKernel<<<static_cast<unsigned>(CeilDiv(n, kWarp)), dim3(kWarp, kLanes), 0, Native(stream)>>>(
      rows.data<float>(), sum.data<float>(), num_rows, n);
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
