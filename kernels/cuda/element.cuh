// Element types on the device and 16-byte access to them. All arithmetic is in f32: a kernel loads vectors of T,
// widens, computes, and rounds once (to nearest even) as it stores.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "core/check.h"
#include "core/dtype.h"

namespace weft::cuda {

__device__ inline float ToFloat(float x) { return x; }
__device__ inline float ToFloat(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ inline T FromFloat(float x);
template <>
__device__ inline float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 FromFloat<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// kVector: elements a thread handles at once where the layout allows it, as one (bf16) or two (f32) 16-byte accesses.
constexpr int kVector = 8;

// n consecutive elements, as they lie in memory.
template <typename T, int n>
struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) Packed {
  T values[n];
};

template <int n, typename T>
__device__ inline void Load(const T* from, float (&to)[n]) {
  const auto packed = *reinterpret_cast<const Packed<T, n>*>(from);
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = ToFloat(packed.values[i]);
}

template <int n, typename T>
__device__ inline void Store(T* to, const float (&from)[n]) {
  Packed<T, n> packed;
#pragma unroll
  for (int i = 0; i < n; ++i) packed.values[i] = FromFloat<T>(from[i]);
  *reinterpret_cast<Packed<T, n>*>(to) = packed;
}

// Whether rows of `row_elements` may be accessed in vectors of `vector` through each of these pointers (null ones too).
template <typename... Pointers>
bool CanVectorize(int vector, int64_t row_elements, Pointers... pointers) {
  return row_elements % vector == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// Calls f(T{}) with the device type of a float dtype: where a run-time dtype becomes a C++ type.
template <typename Function>
void WithElement(DType dtype, Function&& f) {
  if (dtype == DType::kF32) {
    f(float{});
  } else if (dtype == DType::kBF16) {
    f(__nv_bfloat16{});
  } else {
    WEFT_CHECK(false) << "no CUDA kernel for " << DTypeName(dtype);
  }
}

}  // namespace weft::cuda
