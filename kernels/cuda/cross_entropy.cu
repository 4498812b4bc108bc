// Cross-entropy of a chunk of logits: a block a row. Statistics take one pass, with a running maximum (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018); the gradient one pass in place.
#include "kernels/cross_entropy.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace weft::cuda {
namespace {

// sum over the values seen of exp(value - max); max is -infinity before the first.
struct Softmax {
  float max;
  float sum;
};

// The larger one, or NaN if either is: fmaxf would hide it.
__device__ inline float LargerOrNaN(float a, float b) { return isnan(a) || a > b ? a : b; }

__device__ inline Softmax Merge(Softmax a, Softmax b) {
  const float max = LargerOrNaN(a.max, b.max);
  if (max == -INFINITY) return {max, 0};
  return {max, a.sum * expf(a.max - max) + b.sum * expf(b.max - max)};
}

__device__ Softmax BlockMerge(Softmax x) {
  __shared__ Softmax warps[kThreads / kWarp];
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    x = Merge(x, {__shfl_xor_sync(0xffffffffu, x.max, offset), __shfl_xor_sync(0xffffffffu, x.sum, offset)});
  }
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  x = warps[0];
  for (int i = 1; i < kThreads / kWarp; ++i) x = Merge(x, warps[i]);
  return x;
}

template <typename T, int n>
__global__ void StatsKernel(const T* logits, const int32_t* targets, float* lse, float* target_logit, int64_t v,
                            int64_t vocab_begin) {
  const T* row = logits + int64_t{blockIdx.x} * v;
  Softmax seen = {-INFINITY, 0};
  for (int64_t i = threadIdx.x * n; i < v; i += kThreads * n) {
    float value[n];
    Load<n>(row + i, value);
    float max = value[0];
#pragma unroll
    for (int j = 1; j < n; ++j) max = LargerOrNaN(max, value[j]);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < n; ++j) sum += max == -INFINITY ? 0.0f : expf(value[j] - max);
    seen = Merge(seen, {max, sum});
  }
  seen = BlockMerge(seen);
  if (threadIdx.x != 0) return;
  lse[blockIdx.x] = seen.max + logf(seen.sum);
  const int64_t target = targets[blockIdx.x] - vocab_begin;
  target_logit[blockIdx.x] = target >= 0 && target < v ? ToFloat(row[target]) : 0.0f;
}

// A thread a row; slices are few.
__global__ void CombineKernel(const float* parts, float* lse, float* target_logit, int64_t slices, int64_t rows) {
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (row >= rows) return;
  float max = -INFINITY, target = 0;
  for (int64_t slice = 0; slice < slices; ++slice) {
    max = LargerOrNaN(parts[2 * slice * rows + row], max);
    target += parts[(2 * slice + 1) * rows + row];
  }
  float sum = 0;
  for (int64_t slice = 0; slice < slices; ++slice) sum += expf(parts[2 * slice * rows + row] - max);
  lse[row] = isinf(max) ? max : max + logf(sum);
  target_logit[row] = target;
}

// One block, so that the order of the sum is fixed.
__global__ void LossKernel(const float* lse, const float* target_logit, const float* weights, float* loss_sum,
                           int64_t rows) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < rows; i += kThreads) {
    if (weights[i] != 0) sum += static_cast<double>(weights[i]) * (lse[i] - target_logit[i]);
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) loss_sum[0] = static_cast<float>(loss_sum[0] + sum);
}

template <typename T, int n>
__global__ void GradKernel(T* logits, const int32_t* targets, const float* weights, const float* lse, float scale,
                           int64_t v, int64_t vocab_begin) {
  T* row = logits + int64_t{blockIdx.x} * v;
  const float factor = scale * weights[blockIdx.x];
  const float row_lse = lse[blockIdx.x];
  const int64_t target = targets[blockIdx.x] - vocab_begin;
  for (int64_t i = threadIdx.x * n; i < v; i += kThreads * n) {
    float value[n];
    Load<n>(row + i, value);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float onehot = i + j == target ? 1.0f : 0.0f;
      value[j] = weights[blockIdx.x] != 0 ? factor * (expf(value[j] - row_lse) - onehot) : 0.0f;
    }
    Store<n>(row + i, value);
  }
}

}  // namespace

void CrossEntropyStats(Stream& stream, const CrossEntropyStatsArgs& args) {
  const int64_t rows = args.logits.dim(0), v = args.logits.dim(1);
  if (rows == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.logits.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* logits = static_cast<const T*>(args.logits.raw());
    auto* kernel = CanVectorize(kVector, v, logits) ? StatsKernel<T, kVector> : StatsKernel<T, 1>;
    kernel<<<static_cast<unsigned>(rows), kThreads, 0, native>>>(logits, args.targets.data<int32_t>(),
                                                               args.lse.data<float>(),
                                                               args.target_logit.data<float>(), v, args.vocab_begin);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void CrossEntropyCombine(Stream& stream, const CrossEntropyCombineArgs& args) {
  const int64_t slices = args.parts.dim(0), rows = args.parts.dim(2);
  if (rows == 0) return;
  CombineKernel<<<static_cast<unsigned>(CeilDiv(rows, kThreads)), kThreads, 0, Native(stream)>>>(
      args.parts.data<float>(), args.lse.data<float>(), args.target_logit.data<float>(), slices, rows);
  WEFT_CUDA_CHECK_LAUNCH();
}

void CrossEntropyLoss(Stream& stream, const CrossEntropyLossArgs& args) {
  LossKernel<<<1, kThreads, 0, Native(stream)>>>(args.lse.data<float>(), args.target_logit.data<float>(),
                                                args.weights.data<float>(), args.loss_sum.data<float>(),
                                                args.lse.num_elements());
  WEFT_CUDA_CHECK_LAUNCH();
}

void CrossEntropyGrad(Stream& stream, const CrossEntropyGradArgs& args) {
  const int64_t rows = args.logits.dim(0), v = args.logits.dim(1);
  if (rows == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.logits.dtype(), [&](auto element) {
    using T = decltype(element);
    auto* logits = static_cast<T*>(args.logits.raw());
    auto* kernel = CanVectorize(kVector, v, logits) ? GradKernel<T, kVector> : GradKernel<T, 1>;
    kernel<<<static_cast<unsigned>(rows), kThreads, 0, native>>>(logits, args.targets.data<int32_t>(),
                                                               args.weights.data<float>(), args.lse.data<float>(),
                                                               args.scale, v, args.vocab_begin);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
