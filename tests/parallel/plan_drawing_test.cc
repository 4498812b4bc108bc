// Drawings: exact small ones, and what happens at the edge of the terminal.
#include "parallel/plan_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/parallel/every_schedule.h"

namespace weft {
namespace {

std::string Drawing(ScheduleType type, int pp, int interleave, int num_micro_batches, const DrawingStyle& style = {}) {
  const StageLayout layout = EvenLayout(pp, interleave);
  const std::vector<Plan> plans = MakeTrainingPlans(layout, type, num_micro_batches, {});
  return "\n" + Draw(plans, layout, Simulate(plans, layout, {}), style);
}

TEST(PlanDrawing, ShowsARowARankOverTime) {
  EXPECT_EQ(Drawing(ScheduleType::k1F1B, 2, 1, 3), R"(
         0              5              10
rank 0  │F0 F1 ·  ·  B0─── F2 B1─── ·  B2───
rank 1  │·  F0 B0─── F1 B1─── F2 B2─── ·  ·
F forward, B backward, each with its micro-batch; · waits. Time counts forwards of a block.
)");
}

}  // namespace
}  // namespace weft
