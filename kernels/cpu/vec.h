// Vec: as many f32 as one register holds, written with the compiler's vector extensions, so that one text of a loop
// serves every instruction set. Included only by the loops_*.cc files, each compiled for one of them; all of it is in
// an unnamed namespace, so that no instruction of one file can leak into another (cmake/WeftTargets.cmake).
//
// Elements in memory are float, or uint16_t for the bits of a bf16 (core/dtype.h has inline functions, which these
// files must not share). Arithmetic is f32; a bf16 is rounded to nearest even when it is stored.
#pragma once

#include <cstdint>

namespace weft::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
constexpr int kVecBytes = 32;
#else
constexpr int kVecBytes = 16;  // SSE2, NEON
#endif
constexpr int kLanes = kVecBytes / 4;

typedef float Vec __attribute__((vector_size(kVecBytes)));
typedef uint32_t BitsVec __attribute__((vector_size(kVecBytes)));
typedef uint16_t HalfBitsVec __attribute__((vector_size(kVecBytes / 2)));

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

inline Vec Broadcast(float value) { return Vec{} + value; }

// --- Bits of bf16 ----------------------------------------------------------------------------------------------------

inline BitsVec ToBf16(Vec value) {  // in the lower half of each lane
  const BitsVec bits = (BitsVec)value;
  const BitsVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const BitsVec quiet_nan = (bits >> 16) | 0x40;
  return value == value ? rounded : quiet_nan;
}

// What reading `value` back from an element of the pointer's type will give.
inline Vec RoundTo(const float*, Vec value) { return value; }
inline Vec RoundTo(const uint16_t*, Vec value) { return (Vec)(ToBf16(value) << 16); }

// --- Memory ----------------------------------------------------------------------------------------------------------

inline Vec Load(const float* from, AllLanes) {
  Vec value;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}
inline Vec Load(const uint16_t* from, AllLanes) {
  BitsVec bits;
  for (int i = 0; i < kLanes; ++i) bits[i] = from[i];  // g++ 12 makes one instruction of it, and five of a conversion
  return (Vec)(bits << 16);
}
inline void Store(float* to, Vec value, AllLanes) { __builtin_memcpy(to, &value, sizeof(value)); }
inline void Store(uint16_t* to, Vec value, AllLanes) {
  const HalfBitsVec bits = __builtin_convertvector(ToBf16(value), HalfBitsVec);
  __builtin_memcpy(to, &bits, sizeof(bits));
}

// The lanes beyond the first `count` read as zero, and are not written.
template <typename T>
inline Vec Load(const T* from, SomeLanes lanes) {
  T elements[kLanes] = {};
  for (int64_t i = 0; i < lanes.count; ++i) elements[i] = from[i];
  return Load(elements, AllLanes{});
}
template <typename T>
inline void Store(T* to, Vec value, SomeLanes lanes) {
  T elements[kLanes];
  Store(elements, value, AllLanes{});
  for (int64_t i = 0; i < lanes.count; ++i) to[i] = elements[i];
}

// `value` with the lanes that the step does not work on replaced.
inline Vec WithRest(Vec value, float, AllLanes) { return value; }
inline Vec WithRest(Vec value, float rest, SomeLanes lanes) {
  for (int64_t i = lanes.count; i < kLanes; ++i) value[i] = rest;
  return value;
}

// --- Functions -------------------------------------------------------------------------------------------------------

inline Vec Max(Vec a, Vec b) { return a > b ? a : b; }

inline Vec Sqrt(Vec value) {
  Vec root;
  for (int i = 0; i < kLanes; ++i) root[i] = __builtin_sqrtf(value[i]);
  return root;
}

// Over the lanes: halves are combined until one is left.
template <typename Combine>
inline float Reduce(Vec value, Combine combine) {
  float lanes[kLanes];
  __builtin_memcpy(lanes, &value, sizeof(lanes));
#pragma GCC unroll 4
  for (int width = kLanes / 2; width > 0; width /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < width; ++i) lanes[i] = combine(lanes[i], lanes[i + width]);
  }
  return lanes[0];
}
inline float SumOfLanes(Vec value) {
  return Reduce(value, [](float a, float b) { return a + b; });
}
inline float MaxOfLanes(Vec value) {
  return Reduce(value, [](float a, float b) { return a > b ? a : b; });
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
  return SumOfLanes(total);
}

// e^x within 1 unit in the last place; 0 below -86.6 (where e^x < 2.5e-38), infinity above 88.7228, NaN for NaN.
// x = n ln 2 + r, |r| <= ln 2 / 2; the polynomial is that of Cephes' expf (Moshier). ln 2 is cut in two, so that n
// times its upper part is exact.
inline Vec Exp(Vec x) {
  constexpr float kLow = -86.6f, kHigh = 88.72283f;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, in the lower bits
  Vec bounded = x < kLow ? Broadcast(kLow) : x;
  bounded = bounded > kHigh ? Broadcast(kHigh) : bounded;
  const Vec shifted = bounded * 1.44269504f + kRounder;
  const Vec n = shifted - kRounder;
  const Vec r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const Vec exp_r = p * (r * r) + r + 1.0f;
  const BitsVec half_scale = ((BitsVec)shifted + (126u - 0x4b400000u)) << 23;  // 2^(n - 1): 2^128 has no f32
  const Vec result = exp_r * (Vec)half_scale * 2.0f;
  const Vec small = x < kLow ? Vec{} : result;
  return x > kHigh ? Broadcast(__builtin_inff()) : small;
}

}  // namespace
}  // namespace weft::cpu
