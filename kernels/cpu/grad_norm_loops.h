// The sum of squares of a range, in f64 (see grad_norm.h).
#pragma once

#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

double SumSquaresLoop(const float* x, int64_t n) {
  constexpr int kDoubles = kVecBytes / 8;
  typedef double DoubleVec __attribute__((vector_size(kVecBytes)));
  typedef float FloatVec __attribute__((vector_size(kVecBytes / 2)));
  constexpr int kSums = 4;  // enough to hide the latency of an addition
  DoubleVec sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kDoubles <= n; i += kSums * kDoubles) {
#pragma GCC unroll 4
    for (int k = 0; k < kSums; ++k) {
      FloatVec values;
      __builtin_memcpy(&values, x + i + k * kDoubles, sizeof(values));
      const DoubleVec wide = __builtin_convertvector(values, DoubleVec);
      sums[k] += wide * wide;
    }
  }
  double total = 0;
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const DoubleVec sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int k = 0; k < kDoubles; ++k) total += sum[k];
  return total;
}

}  // namespace
}  // namespace weft::cpu
