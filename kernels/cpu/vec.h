// Vec: as many f32 as one register of the including file's instruction set holds, and loops over rows of them whose
// tail is part of the loop. Included only by the loops_*.cc files, each compiled for one instruction set (see lanes.h).
//
// Elements in memory are float, or uint16_t for the bits of a bf16 (core/dtype.h has inline functions, which these
// files must not share). Arithmetic is f32; a bf16 is rounded to nearest even when it is stored.
#pragma once

#include <cstdint>

#include "kernels/cpu/lanes.h"

namespace weft::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;  // SSE2, NEON
#endif

using Vec = FloatLanes<kLanes>;

// How much of a vector a step of a loop works on: all lanes, or the first `count` where a row ends.
struct AllLanes {};
struct SomeLanes {
  int64_t count;
};

// Calls step(i, lanes) for i = 0, kLanes, ... below n: the loop of every kernel, its tail included.
template <typename Step>
inline void ForVectors(int64_t n, Step step) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(i, AllLanes{});
  if (i < n) step(i, SomeLanes{n - i});
}

// The lanes beyond the first `count` read as zero, and are not written.
template <typename T>
inline Vec Load(const T* from, AllLanes) {
  return LoadLanes<kLanes>(from);
}
template <typename T>
inline Vec Load(const T* from, SomeLanes lanes) {
  return LoadFirstLanes<kLanes>(from, lanes.count);
}
template <typename T>
inline void Store(T* to, Vec value, AllLanes) {
  StoreLanes<kLanes>(to, value);
}
template <typename T>
inline void Store(T* to, Vec value, SomeLanes lanes) {
  StoreFirstLanes<kLanes>(to, value, lanes.count);
}

// What reading `value` back from an element of the pointer's type will give.
inline Vec RoundTo(const float*, Vec value) { return value; }
inline Vec RoundTo(const uint16_t*, Vec value) {
  return reinterpret_cast<Vec>(Bf16Bits<kLanes>(value) << 16);
}

// `value` with the lanes that the step does not work on replaced.
inline Vec WithRest(Vec value, float, AllLanes) { return value; }
inline Vec WithRest(Vec value, float rest, SomeLanes lanes) {
  for (int64_t i = lanes.count; i < kLanes; ++i) value[i] = rest;
  return value;
}

inline Vec Broadcast(float value) { return Vec{} + value; }
inline Vec Max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec Exp(Vec x) { return ExpLanes<kLanes>(x); }

inline Vec Sqrt(Vec value) {
  Vec root;
  for (int i = 0; i < kLanes; ++i) root[i] = __builtin_sqrtf(value[i]);
  return root;
}

// The sum of term(i, lanes) over the elements of a row. In two levels, so that no lane adds up more than some dozens of
// terms before it is added to the others: the rounding error stays near that of one addition.
template <typename Term>
inline float SumVectors(int64_t n, Term term) {
  constexpr int64_t kBlock = 32 * kLanes;
  Vec total = {};
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec block = {};
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    ForVectors(count, [&](int64_t i, auto lanes) { block += term(begin + i, lanes); });
    total += block;
  }
  return SumOfLanes<kLanes>(total);
}

}  // namespace
}  // namespace weft::cpu
