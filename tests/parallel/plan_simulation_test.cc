// Simulation: bubbles as the papers give them, and plans that cannot run are named.
#include "parallel/plan_simulation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/parallel/every_schedule.h"

namespace weft {
namespace {

double BubbleShare(ScheduleType type, int pp, int interleave, int num_micro_batches) {
  const StageLayout layout = EvenLayout(pp, interleave);
  const Simulation simulation = Simulate(MakeTrainingPlans(layout, type, num_micro_batches, {}), layout, {});
  EXPECT_TRUE(simulation.deadlock.empty());
  EXPECT_EQ(simulation.busy, std::vector<double>(pp, 3.0 * interleave * num_micro_batches));
  return simulation.BubbleShare();
}

TEST(PlanSimulation, GPipeAnd1F1BHaveTheirTextbookBubble) {
  for (int pp = 1; pp <= kMaxStages; ++pp) {
    for (int m = 1; m <= kMaxMicroBatches; ++m) {
      const double expected = pp == 1 ? 0 : (pp - 1.0) / (m + pp - 1.0);
      EXPECT_NEAR(BubbleShare(ScheduleType::kGPipe, pp, 1, m), expected, 1e-12) << pp << " " << m;
      EXPECT_NEAR(BubbleShare(ScheduleType::k1F1B, pp, 1, m), expected, 1e-12) << pp << " " << m;
    }
  }
}

TEST(PlanSimulation, InterleavingDividesTheBubble) {
  for (int pp = 2; pp <= kMaxStages; ++pp) {
    for (int interleave = 2; interleave <= 4; ++interleave) {
      for (int m = pp; m <= kMaxMicroBatches; m += pp) {
        EXPECT_NEAR(BubbleShare(ScheduleType::kInterleaved, pp, interleave, m), (pp - 1.0) / (interleave * m + pp - 1.0), 1e-12)
            << pp << " " << interleave << " " << m;
      }
    }
  }
}

// A rank waits 3 (pp - 1) units in 1F1B and pp - 1 in the paper's ZB-H1; the greedy order comes close to the latter.
TEST(PlanSimulation, ZeroBubbleWaitsLessThan1F1B) {
  for (int pp = 2; pp <= kMaxStages; ++pp) {
    for (int m = 1; m <= kMaxMicroBatches; ++m) {
      const double waits = 3 * m / (1 - BubbleShare(ScheduleType::kZeroBubble, pp, 1, m)) - 3 * m;
      EXPECT_LE(waits, 2 * (pp - 1) + 1e-9) << pp << " " << m;
      if (m >= pp) {
        EXPECT_LE(waits, pp + 3 + 1e-9) << pp << " " << m;
      }
    }
  }
}

TEST(PlanSimulation, CountsEachGroupsCost) {
  const StageLayout layout = EvenLayout(1, 1);
  const std::vector<Plan> plans = MakeTrainingPlans(layout, ScheduleType::k1F1B, 2, {});
  const GroupCosts costs = {.forward = 1, .backward_input = 2, .backward_weight = 4, .head = 8};
  const Simulation simulation = Simulate(plans, layout, costs);
  EXPECT_EQ(simulation.makespan, 2 * (1 + 8 + 6));
  EXPECT_EQ(simulation.busy.at(0), simulation.makespan);
  EXPECT_EQ(simulation.spans.at(0).at(3).start, 1);  // F0.0 F1.0 F2.0 B2.0
  EXPECT_EQ(simulation.spans.at(0).at(3).end, 9);
}

Plan::iterator Find(Plan& plan, const std::string& action) {
  return std::find_if(plan.begin(), plan.end(), [&](const Action& a) { return ToString(a) == action; });
}

TEST(PlanSimulation, NamesWhoWaitsWhereInADeadlock) {
  const StageLayout layout = EvenLayout(2, 1);
  std::vector<Plan> plans = MakeTrainingPlans(layout, ScheduleType::kGPipe, 2, {});
  std::iter_swap(Find(plans[0], "A1.1>1"), Find(plans[0], "D1.0<1"));
  const Simulation simulation = Simulate(plans, layout, {});
  EXPECT_EQ(simulation.DeadlockText(), "rank 0 waits at D1.0<1, rank 1 waits at A2.1<0");
}

TEST(PlanSimulation, NamesComputeWhoseInputNeverComes) {
  const StageLayout layout = EvenLayout(2, 1);
  std::vector<Plan> plans = MakeTrainingPlans(layout, ScheduleType::k1F1B, 1, {});
  std::iter_swap(Find(plans[1], "A2.0<0"), Find(plans[1], "F2.0"));
  EXPECT_EQ(Simulate(plans, layout, {}).DeadlockText(), "rank 0 waits at A1.0>1, rank 1 waits at F2.0");
}

TEST(PlanSimulation, TiedTableIsAddedUpByBothRanksOrNeither) {
  const StageLayout layout = EvenLayout(2, 1, /*tied=*/true);
  std::vector<Plan> plans = MakeTrainingPlans(layout, ScheduleType::k1F1B, 1, {});
  plans[1].erase(Find(plans[1], "T"));
  EXPECT_EQ(Simulate(plans, layout, {}).DeadlockText(), "rank 0 waits at T");
}

}  // namespace
}  // namespace weft
