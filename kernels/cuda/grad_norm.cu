// Sum of squares in two steps of fixed order, in f64, and the clipping factor.
#include "kernels/grad_norm.h"

#include "kernels/cuda/reduce.cuh"

namespace weft::cuda {
namespace {

// A constant, so that the order of the sum does not depend on the GPU.
constexpr int64_t kNormBlocks = 512;

__global__ void PartialSquaresKernel(const float* x, double* partials, int64_t size) {
  double sum = 0;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < size; i += stride) {
    sum += static_cast<double>(x[i]) * x[i];
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void SumKernel(const double* partials, float* out, int64_t size) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) sum += partials[i];
  sum = BlockSum(sum);
  if (threadIdx.x == 0) *out = static_cast<float>(sum);
}

__global__ void ClipScaleKernel(const float* sum_squares, int64_t size, float max_norm, float* norm, float* scale) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) sum += sum_squares[i];
  sum = BlockSum(sum);
  if (threadIdx.x != 0) return;
  const auto root = static_cast<float>(sqrt(sum));
  *norm = root;
  const float factor = max_norm / (root + 1e-6f);
  *scale = max_norm > 0 && !(factor >= 1) ? factor : 1.0f;  // NaN stays NaN
}

}  // namespace

void SumSquares(Stream& stream, const SumSquaresArgs& args) {
  const int64_t size = args.x.num_elements();
  const int64_t num_blocks = std::clamp<int64_t>(CeilDiv(size, kThreads), 1, kNormBlocks);
  auto* partials = static_cast<double*>(stream.Workspace(num_blocks * sizeof(double)).raw());
  const cudaStream_t native = Native(stream);
  PartialSquaresKernel<<<static_cast<unsigned>(num_blocks), kThreads, 0, native>>>(args.x.data<float>(), partials, size);
  WEFT_CUDA_CHECK_LAUNCH();
  SumKernel<<<1, kThreads, 0, native>>>(partials, args.out.data<float>(), num_blocks);
  WEFT_CUDA_CHECK_LAUNCH();
}

void ClipScale(Stream& stream, const ClipScaleArgs& args) {
  ClipScaleKernel<<<1, kThreads, 0, Native(stream)>>>(args.sum_squares.data<float>(), args.sum_squares.num_elements(),
                                                     args.max_norm, args.norm.data<float>(), args.scale.data<float>());
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
