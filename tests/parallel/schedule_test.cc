// Plans: what the one-stage schedule holds, and that its executor keeps the order and reduces each group once.
#include "parallel/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parallel/pipeline.h"
#include "parallel/thread_communicator.h"

namespace weft {
namespace {

StageLayout OneRank(int num_blocks, bool tied = false) { return *MakeStageLayout(num_blocks, 1, 1, {}, tied); }

TEST(Schedule, OneRankAccumulatesAndReducesInItsLastMicroBatch) {
  const auto training = [](const StageLayout& layout, int num_micro_batches) {
    return ToString(MakeTrainingPlans(layout, ScheduleType::k1F1B, num_micro_batches, {}).at(0));
  };
  EXPECT_EQ(training(OneRank(1), 1), "F0.0 F1.0 F2.0 B2.0 R2 B1.0 R1 B0.0 R0 V");
  EXPECT_EQ(training(OneRank(1), 2),
            "F0.0 F1.0 F2.0 B2.0 B1.0 B0.0 F0.1 F1.1 F2.1 B2.1 R2 B1.1 R1 B0.1 R0 V");
  EXPECT_EQ(training(OneRank(1, /*tied=*/true), 1), "F0.0 F1.0 F2.0 B2.0 B1.0 R1 B0.0 R0 V");
  EXPECT_EQ(ToString(MakeEvaluationPlans(OneRank(1), 2, {}).at(0)), "F0.0 F1.0 F2.0 F0.1 F1.1 F2.1");
}

}  // namespace
}  // namespace weft
