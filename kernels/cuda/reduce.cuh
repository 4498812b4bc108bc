// Sums over a warp and a block, in a fixed order: the same bits on every run.
#pragma once

#include "kernels/cuda/launch.h"

namespace weft::cuda {

// The sum over the warp, in every lane.
template <typename T>
__device__ inline T WarpSum(T x) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

// The sum over a block of kThreads, in every thread. All threads call it; it may be called again at once.
template <typename T>
__device__ inline T BlockSum(T x) {
  __shared__ T warps[kThreads / kWarp];
  x = WarpSum(x);
  __syncthreads();  // the last call's readers are done
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  T sum = 0;
#pragma unroll
  for (int i = 0; i < kThreads / kWarp; ++i) sum += warps[i];
  return sum;
}

}  // namespace weft::cuda
