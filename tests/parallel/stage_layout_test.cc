// Stage layouts: how blocks are dealt to stages, and what cannot be dealt.
#include "parallel/stage_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace weft {
namespace {

using testing::HasSubstr;

std::string Layout(int num_blocks, int pp, int interleave = 1, const std::vector<int64_t>& blocks = {}) {
  const StatusOr<StageLayout> layout = MakeStageLayout(num_blocks, pp, interleave, blocks, false);
  return layout.ok() ? ToString(*layout) : std::string(layout.status().message());
}

TEST(StageLayout, DealsBlocksEvenlyAndSparesTheStagesWithEmbeddingAndHead) {
  EXPECT_EQ(Layout(4, 1), "rank 0: embedding, blocks 0-3, head\n");
  EXPECT_EQ(Layout(5, 2), "rank 0: embedding, blocks 0-2\nrank 1: blocks 3-4, head\n");
  EXPECT_EQ(Layout(4, 3), "rank 0: embedding, block 0\nrank 1: blocks 1-2\nrank 2: block 3, head\n");
  EXPECT_EQ(Layout(1, 3), "rank 0: embedding\nrank 1: block 0\nrank 2: head\n");
  EXPECT_EQ(Layout(8, 2, 2), "rank 0: embedding, blocks 0-1 | blocks 4-5\nrank 1: blocks 2-3 | blocks 6-7, head\n");
}

TEST(StageLayout, TakesAnyNumbersThatAddUp) {
  EXPECT_EQ(Layout(4, 3, 1, {0, 4, 0}), "rank 0: embedding\nrank 1: blocks 0-3\nrank 2: head\n");
  EXPECT_EQ(Layout(4, 2, 1, {3, 1}), "rank 0: embedding, blocks 0-2\nrank 1: block 3, head\n");
}

TEST(StageLayout, RefusesByKey) {
  EXPECT_THAT(Layout(4, 0), HasSubstr("parallel.pp: 0"));
  EXPECT_THAT(Layout(4, 2, 0), HasSubstr("parallel.interleave: 0"));
  EXPECT_THAT(Layout(4, 1, 2), HasSubstr("parallel.interleave: 2 virtual stages a rank need parallel.pp of 2 or more"));
  EXPECT_THAT(Layout(2, 8), HasSubstr("parallel.pp: the model's 2 blocks make 4 stages at most, not 8"));
  EXPECT_THAT(Layout(4, 2, 1 << 30), HasSubstr("parallel.interleave: the model's 4 blocks make 6 stages at most; parallel.pp 2"));
  EXPECT_THAT(Layout(4, 2, 1, {2, 1, 1}), HasSubstr("parallel.blocks_per_stage: 3 numbers for 2 virtual stages"));
  EXPECT_THAT(Layout(4, 3, 1, {2, 0, 2}), HasSubstr("parallel.blocks_per_stage: stage 1 of 3 has none"));
  EXPECT_THAT(Layout(4, 2, 1, {2, 3}), HasSubstr("parallel.blocks_per_stage: 5 blocks in all, but the model has 4"));
  EXPECT_THAT(Layout(4, 2, 1, {-1, 5}), HasSubstr("parallel.blocks_per_stage: -1 blocks"));
  EXPECT_THAT(Layout(4, 2, 1, {int64_t{1} << 62, int64_t{1} << 62}), HasSubstr("parallel.blocks_per_stage: 4611686018427387904"));
}

TEST(StageLayout, KnowsWhereEachGroupRuns) {
  for (int pp = 1; pp <= 8; ++pp) {
    for (int interleave = 1; interleave <= (pp > 1 ? 3 : 1); ++interleave) {
      const int num_blocks = pp * interleave + 3;
      const StageLayout layout = *MakeStageLayout(num_blocks, pp, interleave, {}, false);
      ASSERT_EQ(layout.num_groups(), num_blocks + 2);
      int firsts = 0, lasts = 0;
      for (int group = 0; group < layout.num_groups(); ++group) {
        const int stage = layout.VirtualStageOf(group);
        EXPECT_EQ(layout.RankOfGroup(group), stage % pp);
        EXPECT_LE(layout.virtual_stages[stage].first, group);
        EXPECT_LT(group, layout.virtual_stages[stage].second);
        firsts += layout.IsFirstOfStage(group);
        lasts += layout.IsLastOfStage(group);
      }
      EXPECT_EQ(firsts, pp * interleave);
      EXPECT_EQ(lasts, pp * interleave);
    }
  }
}

TEST(StageLayout, TiedHeadReadsTheTableAndOnlyForwardAndInputGradientsReadWeights) {
  const StageLayout untied = *MakeStageLayout(2, 2, 1, {}, false), tied = *MakeStageLayout(2, 2, 1, {}, true);
  EXPECT_THAT(untied.ParamGroupsOf(3), testing::ElementsAre(3));
  EXPECT_THAT(tied.ParamGroupsOf(3), testing::ElementsAre(0));
  EXPECT_THAT(tied.ParamGroupsOf(1), testing::ElementsAre(1));
  EXPECT_TRUE(tied.ReadsWeights({ActionKind::kForward, 0}));
  EXPECT_TRUE(tied.ReadsWeights({ActionKind::kBackward, 1}));
  EXPECT_TRUE(tied.ReadsWeights({ActionKind::kBackwardInput, 1}));
  EXPECT_FALSE(tied.ReadsWeights({ActionKind::kBackwardWeight, 1}));
  EXPECT_FALSE(tied.ReadsWeights({ActionKind::kBackward, 0}));
  EXPECT_FALSE(tied.ReadsWeights({ActionKind::kSendActivation, 1}));
}

}  // namespace
}  // namespace weft
