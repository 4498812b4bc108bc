// Element types and the rounding of bf16 (core/dtype.h).
#include "core/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft {
namespace {

TEST(DType, NamesAndSizes) {
  EXPECT_EQ(DTypeSize(DType::kF32), 4u);
  EXPECT_EQ(DTypeSize(DType::kBF16), 2u);
  EXPECT_EQ(DTypeSize(DType::kF16), 2u);
  EXPECT_EQ(DTypeSize(DType::kI32), 4u);
  EXPECT_EQ(DTypeSize(DType::kI64), 8u);
  EXPECT_EQ(DTypeSize(DType::kU8), 1u);
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kI32, DType::kI64, DType::kU8}) {
    EXPECT_EQ(ParseDType(DTypeName(dtype)), dtype);
  }
  EXPECT_EQ(ParseDType("float32"), std::nullopt);
}

TEST(BF16, KeepsWhatItCanHold) {
  for (float value : {0.0f, -0.0f, 1.0f, -1.5f, 0x1p-126f, 0x1p-133f, 3.3895314e38f,
                      std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(std::bit_cast<uint32_t>(static_cast<float>(bf16(value))), std::bit_cast<uint32_t>(value)) << value;
  }
}

TEST(BF16, RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(bf16(1 + 1 / 256.0f)), 1);               // halfway: down to even
  EXPECT_EQ(static_cast<float>(bf16(1 + 3 / 256.0f)), 1 + 4 / 256.0f);  // halfway: up to even
  EXPECT_EQ(static_cast<float>(bf16(1 + 1.01f / 256)), 1 + 2 / 256.0f);
  EXPECT_EQ(static_cast<float>(bf16(-1 - 1 / 256.0f)), -1);
  EXPECT_EQ(static_cast<float>(bf16(std::numeric_limits<float>::max())), std::numeric_limits<float>::infinity());
}

TEST(BF16, NaNStaysNaN) {
  EXPECT_TRUE(std::isnan(static_cast<float>(bf16(std::numeric_limits<float>::quiet_NaN()))));
  const float upper_half_of_infinity = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(static_cast<float>(bf16(upper_half_of_infinity))));
}

}  // namespace
}  // namespace weft
