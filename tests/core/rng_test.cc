// Counter-based random numbers: Philox against the known answers of its authors, and the distributions (core/rng.h).
#include "core/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace weft {
namespace {

using Block = std::array<uint32_t, 4>;

// From kat_vectors of Random123 (Salmon et al.), philox4x32 with 10 rounds.
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(Philox({ones, ones, ones, ones}, {ones, ones}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// From the authors of FNV: the hash of nothing is the offset basis; that of "a" is af63dc4c8601ec8c.
TEST(StreamKey, IsFnv1a) {
  EXPECT_EQ(StreamKey(""), 0xcbf29ce484222325u);
  EXPECT_EQ(StreamKey("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(StreamKey("foobar"), 0x85944171f73967e8u);
}

// Initial weights, sampling and shuffles of every run hang on these: a change of one breaks reproduction.
TEST(Rng, ValuesArePinned) {
  const Rng rng(7, StreamKey("layers.3.attn.wqkv"));
  const Block block = Philox({5, 0, static_cast<uint32_t>(StreamKey("layers.3.attn.wqkv")),
                              static_cast<uint32_t>(StreamKey("layers.3.attn.wqkv") >> 32)}, {7, 0});
  EXPECT_EQ(rng.Bits(5), (uint64_t{block[0]} << 32) | block[1]);
  EXPECT_EQ(rng.Uniform(5), static_cast<double>(rng.Bits(5) >> 11) * 0x1.0p-53);
  EXPECT_EQ(Rng(0, 0).Bits(0), 0x6627e8d5e169c58du);
  const double angle = 6.283185307179586 * static_cast<double>(0xbc57ac4c9b00dbd8u >> 11) * 0x1.0p-53;
  const double unit = static_cast<double>(0x6627e8d5e169c58du >> 11) * 0x1.0p-53;
  EXPECT_DOUBLE_EQ(Rng(0, 0).Normal(0), std::sqrt(-2 * std::log(1 - unit)) * std::cos(angle));
}

TEST(Rng, SeedsStreamsAndIndicesAllMatter) {
  std::set<uint64_t> bits;
  for (uint64_t seed : {0, 1}) {
    for (uint64_t stream : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
      for (uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) bits.insert(Rng(seed, stream).Bits(index));
    }
  }
  EXPECT_EQ(bits.size(), 18u);
}

TEST(Rng, UniformHasTheMomentsOfTheUnitInterval) {
  const Rng rng(1, 2);
  const int n = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double u = rng.Uniform(static_cast<uint64_t>(i));
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);  // five standard errors
  EXPECT_NEAR(squares / n, 1 / 3.0, 0.005);
}

TEST(Rng, NormalHasTheMomentsOfTheNormalDistribution) {
  const Rng rng(1, 2);
  const int n = 100000;
  double sum = 0, squares = 0, fourth = 0, lagged = 0, before = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.Normal(static_cast<uint64_t>(i));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    lagged += x * before;
    before = x;
  }
  EXPECT_NEAR(sum / n, 0, 0.016);
  EXPECT_NEAR(squares / n, 1, 0.023);
  EXPECT_NEAR(fourth / n, 3, 0.16);
  EXPECT_NEAR(lagged / n, 0, 0.016);
}

TEST(Rng, BelowIsUniformOverItsRange) {
  const Rng rng(1, 2);
  std::vector<int> counts(7, 0);
  for (uint64_t i = 0; i < 70000; ++i) {
    const uint64_t value = rng.Below(i, 7);
    ASSERT_LT(value, 7u);
    ++counts[value];
  }
  for (int count : counts) EXPECT_NEAR(count, 10000, 500);  // more than five standard errors
  EXPECT_EQ(rng.Below(3, 1), 0u);
}

}  // namespace
}  // namespace weft
