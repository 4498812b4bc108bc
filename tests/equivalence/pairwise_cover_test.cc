// Covers have every pair that can be had, and none that cannot.
#include "tests/equivalence/pairwise_cover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(PairwiseCover, HasEveryPairOfTheProductInFewRows) {
  const std::vector<CoverRow> all = ValidRows({7, 4, 2, 4, 3}, [](const CoverRow&) { return true; });
  EXPECT_EQ(all.size(), 7u * 4 * 2 * 4 * 3);
  const std::vector<CoverRow> cover = PairwiseCover(all);
  EXPECT_EQ(PairsOf(cover), PairsOf(all));
  EXPECT_GE(cover.size(), 28u) << "two factors alone have 28 pairs";
  EXPECT_LE(cover.size(), 40u);
}

TEST(PairwiseCover, LeavesOutWhatMeansNothing) {
  const auto is_valid = [](const CoverRow& row) { return row[0] != 0 || row[1] == 0; };
  const std::vector<CoverRow> all = ValidRows({3, 3, 2}, is_valid);
  const std::vector<CoverRow> cover = PairwiseCover(all);
  for (const CoverRow& row : cover) EXPECT_TRUE(is_valid(row));
  EXPECT_EQ(PairsOf(cover), PairsOf(all));
  EXPECT_FALSE(PairsOf(cover).contains({0, 0, 1, 1}));
  EXPECT_TRUE(PairsOf(cover).contains({0, 0, 1, 0}));
}

TEST(PairwiseCover, OfNothingIsNothing) {
  EXPECT_THAT(PairwiseCover(ValidRows({2, 2}, [](const CoverRow&) { return false; })), testing::IsEmpty());
}

}  // namespace
}  // namespace weft
