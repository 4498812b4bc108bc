// The host's sums: in rank order, whole blocks and their ends, and bf16 with one rounding.
#include "parallel/reduction.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

template <typename T>
std::vector<const std::byte*> PointersTo(const std::vector<std::vector<T>>& shares) {
  std::vector<const std::byte*> pointers;
  for (const std::vector<T>& share : shares) pointers.push_back(reinterpret_cast<const std::byte*>(share.data()));
  return pointers;
}

template <typename T>
std::vector<T> Reduced(const std::vector<std::vector<T>>& shares, ReduceOp op) {
  std::vector<T> out(shares[0].size());
  ReduceInRankOrder(PointersTo(shares), op, DTypeOf<T>::value, static_cast<int64_t>(out.size()),
                    reinterpret_cast<std::byte*>(out.data()));
  return out;
}

TEST(Reduction, AddsInTheOrderOfRanks) {
  // (1e8 + 1) - 1e8 is 0 in f32, 1e8 - 1e8 + 1 is 1.
  EXPECT_EQ(Reduced<float>({{1e8f, 1e8f}, {1, -1e8f}, {-1e8f, 1}}, ReduceOp::kSum), (std::vector<float>{0, 1}));
}

TEST(Reduction, CoversEveryElementOfEverySize) {
  for (size_t n : {size_t{0}, size_t{1}, size_t{2047}, size_t{2048}, size_t{2049}, size_t{5000}}) {
    std::vector<std::vector<int64_t>> shares(3, std::vector<int64_t>(n));
    for (size_t rank = 0; rank < 3; ++rank) {
      for (size_t i = 0; i < n; ++i) shares[rank][i] = static_cast<int64_t>((rank + 1) * i) + (int64_t{1} << 60);
    }
    const std::vector<int64_t> sum = Reduced(shares, ReduceOp::kSum), most = Reduced(shares, ReduceOp::kMax);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(sum[i], static_cast<int64_t>(6 * i) + 3 * (int64_t{1} << 60));
      EXPECT_EQ(most[i], shares[2][i]);
    }
  }
}

TEST(Reduction, RoundsBf16Once) {
  const bf16 one(1.0f), small(0x1p-9f);  // a quarter of the unit in 1's last place: lost when added alone
  const std::vector<bf16> sum = Reduced<bf16>({{one}, {small}, {small}, {small}}, ReduceOp::kSum);
  EXPECT_EQ(static_cast<float>(sum[0]), 1.0f + 0x1p-7f);
}

TEST(Reduction, MayWriteOverAShare) {
  std::vector<std::vector<float>> shares = {{1, 2, 3}, {10, 20, 30}};
  ReduceInRankOrder(PointersTo(shares), ReduceOp::kSum, DType::kF32, 3, reinterpret_cast<std::byte*>(shares[1].data()));
  EXPECT_EQ(shares[1], (std::vector<float>{11, 22, 33}));
}

}  // namespace
}  // namespace weft
