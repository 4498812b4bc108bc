// Element types. A tensor's dtype is a run-time value; kernels turn it into a C++ type once, at their entry.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

enum class DType : uint8_t { kF32, kBF16, kF16, kI32, kI64, kU8 };

size_t DTypeSize(DType dtype);              // bytes an element
std::string_view DTypeName(DType dtype);    // "f32", "bf16", ...
std::optional<DType> ParseDType(std::string_view name);

// bfloat16: the upper half of an f32. Conversion rounds to nearest even; NaN stays NaN.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  explicit bf16(float value) {
    uint32_t u = std::bit_cast<uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<uint16_t>((u >> 16) | 0x40u);  // quiet NaN
    } else {
      bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};
static_assert(sizeof(bf16) == 2);

// IEEE half precision, as files hold it: 5 bits of exponent, 10 of fraction. Converts exactly.
struct f16 {
  uint16_t bits = 0;

  f16() = default;
  explicit operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ffu) << 13);  // infinity, NaN
    if (rest < 0x400u) {  // zero and subnormals: multiples of 2^-24
      const float magnitude = static_cast<float>(rest) * 0x1p-24f;
      return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
    }
    return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));  // another bias of the exponent
  }
};
static_assert(sizeof(f16) == 2);

// The DType of a C++ element type.
template <typename T>
struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::kF32; };
template <> struct DTypeOf<bf16> { static constexpr DType value = DType::kBF16; };
template <> struct DTypeOf<f16> { static constexpr DType value = DType::kF16; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::kI32; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::kI64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::kU8; };

}  // namespace weft
