// What the CPU ops share: the loops to use now, the step from a run-time dtype to the loops' element type, and how much
// work is worth a thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/dtype.h"
#include "core/tensor.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/loops.h"

namespace weft::cpu {

inline const Loops& HostLoops() { return PickIsa(LoopsPortable, LoopsAvx2, LoopsAvx512); }

// T is float, or uint16_t for the bits of a bf16.
template <typename T>
const FloatLoops<T>& HostFloatLoops() {
  if constexpr (std::is_same_v<T, float>) {
    return HostLoops().f32;
  } else {
    return HostLoops().bf16;
  }
}

// y += x over n elements of the same type.
inline void AddRow(const FloatLoops<float>& loops, const float* x, int64_t n, float* y) { loops.add_to_f32(x, n, y); }
inline void AddRow(const FloatLoops<uint16_t>& loops, const uint16_t* x, int64_t n, uint16_t* y) {
  loops.add_to_bf16(x, n, y);
}

// Calls op(T{}) with the element type of f32 or bf16.
template <typename Op>
void WithElementType(DType dtype, Op op) {
  if (dtype == DType::kF32) {
    op(float{});
  } else {
    WEFT_CHECK(dtype == DType::kBF16) << "no CPU loops for " << DTypeName(dtype);
    op(uint16_t{});
  }
}

template <typename T>
const T* Elements(const ConstTensorView& view) {
  return static_cast<const T*>(view.raw());
}
template <typename T>
T* Elements(const TensorView& view) {
  return static_cast<T*>(view.raw());
}

inline float ToFloat(float value) { return value; }
inline float ToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
template <typename T>
T FromFloat(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return bf16(value).bits;
  }
}

// A thread's start costs some microseconds: it gets at least this many elements. A multiple of every vector, so that a
// range cut at its multiples is computed as if it were whole.
inline constexpr int64_t kGranule = 16384;
inline constexpr int64_t kColumnGranule = 64;  // the same for columns that each stand for many rows
inline int64_t RowGranule(int64_t row_elements) {
  return std::max<int64_t>(1, kGranule / std::max<int64_t>(1, row_elements));
}

}  // namespace weft::cpu
