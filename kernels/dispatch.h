// How an op reaches its implementation: CUDA where the stream is a CUDA stream, else the CPU, in stream order.
//
// Each op has one header: an args struct whose comments carry shapes and dtypes, a Check that executes those comments,
// a public function that dispatches, and its implementations in namespaces cpu and cuda. The CPU in f32 defines the op.
// The one #if of the seam is here.
#pragma once

#include "core/check.h"
#include "core/stream.h"

#if WEFT_WITH_CUDA
#define WEFT_ON_CUDA(call) cuda::call
#else
#define WEFT_ON_CUDA(call) WEFT_CHECK(false) << "this build has no CUDA kernels"
#endif

namespace weft {

// Issues cpu_kernel(pool, args) on a CPU stream.
template <typename Args>
void RunOnCpu(Stream& stream, const Args& args, void (*cpu_kernel)(ThreadPool&, const Args&)) {
  stream.Run([&pool = stream.pool(), args, cpu_kernel] { cpu_kernel(pool, args); });
}

// The same for a kernel with scratch, [bytes] u8: uninitialised, written before it is read.
template <typename Args>
void RunOnCpu(Stream& stream, const Args& args, size_t scratch_bytes,
              void (*cpu_kernel)(ThreadPool&, const Args&, TensorView scratch)) {
  const TensorView scratch = stream.Workspace(scratch_bytes);
  stream.Run([&pool = stream.pool(), args, scratch, cpu_kernel] { cpu_kernel(pool, args, scratch); });
}

}  // namespace weft
