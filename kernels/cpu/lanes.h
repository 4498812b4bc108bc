// Vectors of kLanes floats as GCC's vector types: one source for SSE2, NEON, AVX2 and AVX-512.
//
// Included by files that are compiled for one instruction set each. The unnamed namespace is on purpose: each file keeps
// its own copies, compiled for its own instructions, and the linker cannot swap them.
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
  typedef int32_t Int __attribute__((vector_size(kLanes * 4)));
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

// bf16 bits are the upper half of an f32.
template <int kLanes>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadLanes(const uint16_t* from) {
  const typename LaneTypes<kLanes>::Half half = *reinterpret_cast<const typename LaneTypes<kLanes>::HalfAt*>(from);
  return reinterpret_cast<FloatLanes<kLanes>>(__builtin_convertvector(half, typename LaneTypes<kLanes>::Bits) << 16);
}

template <int kLanes>
WEFT_LANES_INLINE void StoreLanes(float* to, FloatLanes<kLanes> lanes) {
  *reinterpret_cast<typename LaneTypes<kLanes>::FloatAt*>(to) = lanes;
}

// Rounded to bf16: to nearest, ties to even; NaN stays NaN. As bf16's constructor does it.
template <int kLanes>
WEFT_LANES_INLINE void StoreLanes(uint16_t* to, FloatLanes<kLanes> lanes) {
  const auto bits = reinterpret_cast<typename LaneTypes<kLanes>::Bits>(lanes);
  const auto rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const auto quiet_nan = (bits >> 16) | 0x40u;
  const auto chosen = (bits & 0x7fffffffu) > 0x7f800000u ? quiet_nan : rounded;
  *reinterpret_cast<typename LaneTypes<kLanes>::HalfAt*>(to) =
      __builtin_convertvector(chosen, typename LaneTypes<kLanes>::Half);
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

}  // namespace
}  // namespace weft::cpu
