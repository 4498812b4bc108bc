// Vectors of kLanes floats as GCC's vector types: one source for SSE2, NEON, AVX2 and AVX-512.
//
// Included by files that are compiled for one instruction set each. The unnamed namespace is on purpose: each file keeps
// its own copies, compiled for its own instructions, and the linker cannot swap them.
#pragma once

#include <cstdint>
#include <cstring>

namespace weft::cpu {
namespace {

template <int kLanes>
struct LaneTypes {
  typedef float Float __attribute__((vector_size(kLanes * 4)));
  typedef int32_t Int __attribute__((vector_size(kLanes * 4)));
  typedef uint32_t Bits __attribute__((vector_size(kLanes * 4)));
  typedef uint16_t Half __attribute__((vector_size(kLanes * 2)));
};
template <int kLanes>
using FloatLanes = typename LaneTypes<kLanes>::Float;

#define WEFT_LANES_INLINE [[maybe_unused]] inline __attribute__((always_inline))

template <int kLanes>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadLanes(const float* from) {
  FloatLanes<kLanes> lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

// bf16 bits are the upper half of an f32.
template <int kLanes>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadLanes(const uint16_t* from) {
  typename LaneTypes<kLanes>::Half half;
  std::memcpy(&half, from, sizeof(half));
  const auto bits = __builtin_convertvector(half, typename LaneTypes<kLanes>::Bits) << 16;
  return reinterpret_cast<FloatLanes<kLanes>>(bits);
}

// The first n < kLanes elements; the other lanes are 0.
template <int kLanes, typename T>
WEFT_LANES_INLINE FloatLanes<kLanes> LoadFirstLanes(const T* from, int64_t n) {
  T padded[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) padded[i] = from[i];
  return LoadLanes<kLanes>(padded);
}

template <int kLanes>
WEFT_LANES_INLINE void StoreLanes(float* to, FloatLanes<kLanes> lanes) {
  std::memcpy(to, &lanes, sizeof(lanes));
}

// By halves, so always in the same order.
template <int kLanes>
WEFT_LANES_INLINE float SumOfLanes(FloatLanes<kLanes> lanes) {
  float x[kLanes];
  std::memcpy(x, &lanes, sizeof(lanes));
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x[i] += x[i + half];
  }
  return x[0];
}

}  // namespace
}  // namespace weft::cpu
