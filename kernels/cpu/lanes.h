// Vectors of kLanes floats as GCC's vector types: one source for SSE2, NEON, AVX2 and AVX-512.
//
// Included by files that are compiled for one instruction set each. The unnamed namespace is on purpose: each file
// keeps its own copies, compiled for its own instructions, and the linker cannot swap them.
#pragma once

#include <cstdint>
#include <utility>

namespace weft::cpu {
namespace {

// At... are the same as read from memory, where they stand unaligned.
template <int kLanes>
struct LaneTypes {
  typedef float Float __attribute__((vector_size(kLanes * 4)));
  typedef float FloatAt __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
  typedef uint32_t Bits __attribute__((vector_size(kLanes * 4)));
  typedef uint16_t Half __attribute__((vector_size(kLanes * 2)));
  typedef uint16_t HalfAt __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));
};
template <int kLanes>
using FloatLanes = typename LaneTypes<kLanes>::Float;

#define WEFT_LANES_INLINE [[maybe_unused]] inline __attribute__((always_inline))

template <int kLanes>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadLanes(const float* from) {
  return *reinterpret_cast<const typename LaneTypes<kLanes>::FloatAt*>(from);
}

// bf16 bits are the upper half of an f32. By elements: g++ 12 makes one instruction of it, and five of a conversion.
template <int kLanes>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadLanes(const uint16_t* from) {
  typename LaneTypes<kLanes>::Bits bits;
  for (int i = 0; i < kLanes; ++i) bits[i] = from[i];
  return reinterpret_cast<FloatLanes<kLanes>>(bits << 16);
}

template <int kLanes>
WEFT_LANES_INLINE void StoreLanes(float* to, FloatLanes<kLanes> lanes) {
  *reinterpret_cast<typename LaneTypes<kLanes>::FloatAt*>(to) = lanes;
}

// Rounded to bf16: to nearest, ties to even; NaN stays NaN. As bf16's constructor does it. In the lower halves.
template <int kLanes>
WEFT_LANES_INLINE typename LaneTypes<kLanes>::Bits Bf16Bits(FloatLanes<kLanes> lanes) {
  const auto bits = reinterpret_cast<typename LaneTypes<kLanes>::Bits>(lanes);
  const auto rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const auto quiet_nan = (bits >> 16) | 0x40u;
  return lanes == lanes ? rounded : quiet_nan;
}

template <int kLanes>
WEFT_LANES_INLINE void StoreLanes(uint16_t* to, FloatLanes<kLanes> lanes) {
  *reinterpret_cast<typename LaneTypes<kLanes>::HalfAt*>(to) =
      __builtin_convertvector(Bf16Bits<kLanes>(lanes), typename LaneTypes<kLanes>::Half);
}

// The first n < kLanes elements; the other lanes are 0.
template <int kLanes, typename T>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadFirstLanes(const T* from, int64_t n) {
  T padded[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) padded[i] = from[i];
  return LoadLanes<kLanes>(padded);
}

template <int kLanes, typename T>
WEFT_LANES_INLINE void StoreFirstLanes(T* to, FloatLanes<kLanes> lanes, int64_t n) {
  T padded[kLanes];
  StoreLanes<kLanes>(padded, lanes);
  for (int64_t i = 0; i < n; ++i) to[i] = padded[i];
}

// Lane l of the result is lane l ^ kDistance.
template <int kDistance, typename Vec, int... kLane>
WEFT_LANES_INLINE Vec SwapLanes(Vec x, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(x, x, (kLane ^ kDistance)...);
}

// combine(...) over all lanes, pairs at a distance of half the lanes first, so always in the same order.
template <int kLanes, int kDistance = kLanes / 2, typename Combine>
WEFT_LANES_INLINE float ReduceLanes(FloatLanes<kLanes> x, Combine combine) {
  const auto both = combine(x, SwapLanes<kDistance>(x, std::make_integer_sequence<int, kLanes>()));
  if constexpr (kDistance == 1) {
    return both[0];
  } else {
    return ReduceLanes<kLanes, kDistance / 2>(both, combine);
  }
}

template <int kLanes>
WEFT_LANES_INLINE float SumOfLanes(FloatLanes<kLanes> lanes) {
  return ReduceLanes<kLanes>(lanes, [](auto a, auto b) { return a + b; });
}

template <int kLanes>
WEFT_LANES_INLINE float MaxOfLanes(FloatLanes<kLanes> lanes) {
  return ReduceLanes<kLanes>(lanes, [](auto a, auto b) { return a > b ? a : b; });
}

// e^x within 1 unit in the last place (1.2 where products and sums do not fuse); 0 below -86.6, where e^x < 2.5e-38;
// infinity above 88.7228; NaN for NaN.
// x = n ln 2 + r, |r| <= ln 2 / 2; the polynomial is that of Cephes' expf (Moshier). ln 2 is cut in two, so that n
// times its upper part is exact.
template <int kLanes>
WEFT_LANES_INLINE FloatLanes<kLanes> ExpLanes(FloatLanes<kLanes> x) {
  using Vec = FloatLanes<kLanes>;
  using Bits = typename LaneTypes<kLanes>::Bits;
  constexpr float kLow = -86.6f;           // below it the result is thrown away
  const Vec high = Vec{} + 89.0f;          // e^89 is infinite, and its n still fits
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, in the lower bits
  const Vec bounded = high < x ? high : x;
  const Vec shifted = bounded * 1.44269504f + kRounder;
  const Vec n = shifted - kRounder;
  const Vec r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // 2^(n - 1), because 2^128 is no f32.
  const Bits half_scale = (reinterpret_cast<Bits>(shifted) + (126u - 0x4b400000u)) << 23;
  return x < kLow ? Vec{} : p * reinterpret_cast<Vec>(half_scale) * 2.0f;
}

}  // namespace
}  // namespace weft::cpu
