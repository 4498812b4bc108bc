// What every CUDA kernel's host side needs: the native stream, error checks and launch shapes.
//
// A failing call aborts with file:line and CUDA's own words (core/cuda_device.h says why). CUDA's headers stay inside
// kernels/cuda: only its sources include this.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "core/check.h"
#include "core/stream.h"

namespace weft::cuda {

#define WEFT_CUDA_CALL(expr)                                                                  \
  do {                                                                                        \
    const cudaError_t weft_cuda_ = (expr);                                                    \
    WEFT_CHECK(weft_cuda_ == cudaSuccess) << #expr << ": " << cudaGetErrorString(weft_cuda_); \
  } while (false)

// After each launch: a bad launch shape, or an error that an earlier kernel left behind.
#define WEFT_CUDA_CHECK_LAUNCH() WEFT_CUDA_CALL(cudaGetLastError())

// The cudaStream_t of a CUDA stream; makes its device the host thread's current one, as launches require.
inline cudaStream_t Native(Stream& stream) {
  WEFT_CUDA_CALL(cudaSetDevice(stream.device().index));
  return static_cast<cudaStream_t>(stream.cuda_handle());
}

constexpr int kWarp = 32;
constexpr int kThreads = 256;         // of a block, unless a kernel says otherwise
constexpr int64_t kMaxBlocks = 4096;  // of loops that stride over the grid: fills any GPU, whatever n is

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Blocks for n threads that stride over the grid.
inline unsigned GridFor(int64_t n) {
  return static_cast<unsigned>(std::clamp<int64_t>(CeilDiv(n, kThreads), 1, kMaxBlocks));
}

}  // namespace weft::cuda
