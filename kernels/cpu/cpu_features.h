// Which vector instructions the CPU kernels of this process use: one build runs on every x86-64, at full speed.
//
// A file named *_avx2.cc or *_avx512.cc is compiled for those instructions and may only be entered after this check.
// The convention: an op with vector code has a header kernels/cpu/OP_kernels.h with a struct of function pointers over
// raw pointers and sizes, and one function for each level that returns a table of them; the op's .cc picks a table:
//
//   struct AxpyKernels { void (*axpy)(int64_t n, float a, const float* x, float* y); };
//   const AxpyKernels& AxpyPortable();   // axpy_portable.cc
//   const AxpyKernels& AxpyAvx2();       // axpy_avx2.cc
//   const AxpyKernels& AxpyAvx512();     // axpy_avx512.cc
//   const AxpyKernels& kernels = PickIsa(AxpyPortable, AxpyAvx2, AxpyAvx512);
#pragma once

#include <cstdint>
#include <string_view>

namespace weft::cpu {

enum class IsaLevel : uint8_t {
  kPortable,    // what the compiler may assume anyway
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // AVX-512 F, BW, DQ, VL
  kAvx512Bf16,  // and its bf16 dot product
};

std::string_view IsaName(IsaLevel level);  // "portable", "avx2", "avx512", "avx512bf16"

// The level to use now: the highest that this CPU runs, or WEFT_ISA=portable|avx2|avx512|avx512bf16 where the
// environment says so. Aborts on a name that is none, and on a level that this CPU cannot run.
IsaLevel HostIsa();

// Tests: lowers HostIsa() of the whole process to `level` (it never raises it) for as long as it lives.
class ScopedIsaLimit {
 public:
  explicit ScopedIsaLimit(IsaLevel level);
  ~ScopedIsaLimit();
  ScopedIsaLimit(const ScopedIsaLimit&) = delete;
  ScopedIsaLimit& operator=(const ScopedIsaLimit&) = delete;

 private:
  IsaLevel before_;
};

// The table of the highest level that is written and that HostIsa() allows.
template <typename Table>
const Table& PickIsa(const Table& (*portable)(), const Table& (*avx2)(), const Table& (*avx512)()) {
  const IsaLevel level = HostIsa();
  if (level >= IsaLevel::kAvx512) return avx512();
  return level >= IsaLevel::kAvx2 ? avx2() : portable();
}

}  // namespace weft::cpu
