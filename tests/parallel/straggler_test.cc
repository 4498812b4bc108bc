// Who is slow, and who only looks like it.
#include "parallel/straggler.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using Snapshots = std::vector<std::optional<RankSnapshot>>;

RankSnapshot Times(float quarter, float median, float three_quarters, int pp = 0, int steps = 100) {
  RankSnapshot snapshot;
  snapshot.times = {.num_steps = steps, .median_step = 1, .busy_quartiles = {quarter, median, three_quarters}};
  snapshot.position.coord.of(Axis::kPp) = pp;
  return snapshot;
}

TEST(Straggler, IsTheRankThatIsClearlySlower) {
  const Snapshots snapshots = {Times(0.9f, 1.0f, 1.1f), Times(0.9f, 1.0f, 1.1f), Times(1.4f, 1.5f, 1.6f),
                               Times(0.9f, 1.0f, 1.1f)};
  const std::optional<Straggler> found = FindStraggler(snapshots);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->rank, 2);
  EXPECT_FLOAT_EQ(static_cast<float>(found->busy_s), 1.5f);
  EXPECT_FLOAT_EQ(static_cast<float>(found->others_s), 1.0f);
}

TEST(Straggler, IsNobodyWhereTheTimesOverlap) {
  EXPECT_FALSE(FindStraggler({Times(0.8f, 1.0f, 1.5f), Times(0.8f, 1.3f, 1.9f)}).has_value()) << "too wide to tell";
  EXPECT_FALSE(FindStraggler({Times(1.0f, 1.0f, 1.0f), Times(1.1f, 1.1f, 1.1f)}).has_value())
      << "too little to matter";
}

TEST(Straggler, IsSoughtAmongRanksWithTheSameWork) {
  EXPECT_FALSE(
      FindStraggler({Times(1, 1, 1, 0), Times(1, 1, 1, 0), Times(3, 3, 3, 1), Times(3, 3, 3, 1)}).has_value());
  const std::optional<Straggler> found =
      FindStraggler({Times(1, 1, 1, 0), Times(1.5f, 1.5f, 1.5f, 0), Times(3, 3, 3, 1), Times(6, 6, 6, 1)});
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->rank, 3) << "who costs the most";
}

TEST(Straggler, NeedsSomeStepsAndRecords) {
  EXPECT_FALSE(FindStraggler({Times(1, 1, 1), Times(9, 9, 9, 0, 19)}).has_value());
  EXPECT_FALSE(FindStraggler({Times(9, 9, 9), std::nullopt}).has_value());
}

}  // namespace
}  // namespace weft
