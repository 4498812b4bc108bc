// Plans: small ones in full, and what every plan keeps: each action once and in the order of its data, every transfer at
// both ends, weights whole where they are read, gradients reduced when they are complete.
#include "parallel/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "parallel/plan_simulation.h"
#include "tests/parallel/every_schedule.h"

namespace weft {
namespace {

using testing::ElementsAre;

std::vector<std::string> Text(const std::vector<Plan>& plans) {
  std::vector<std::string> text;
  for (const Plan& plan : plans) text.push_back(ToString(plan));
  return text;
}

std::vector<std::string> Training(const StageLayout& layout, ScheduleType type, int num_micro_batches,
                                  const ShardPolicy& policy = {}) {
  return Text(MakeTrainingPlans(layout, type, num_micro_batches, policy));
}

TEST(Schedule, OneRankAccumulatesWhateverTheSchedule) {
  const StageLayout layout = EvenLayout(1, 1);
  for (const ScheduleType type :
       {ScheduleType::kGPipe, ScheduleType::k1F1B, ScheduleType::kInterleaved, ScheduleType::kZeroBubble}) {
    EXPECT_THAT(Training(layout, type, 2),
                ElementsAre("F0.0 F1.0 F2.0 B2.0 B1.0 B0.0 F0.1 F1.1 F2.1 B2.1 R2 B1.1 R1 B0.1 R0 V"));
  }
  EXPECT_THAT(Training(EvenLayout(1, 1, /*tied=*/true), ScheduleType::k1F1B, 1),
              ElementsAre("F0.0 F1.0 F2.0 B2.0 B1.0 R1 B0.0 R0 V"));
  EXPECT_THAT(Text(MakeEvaluationPlans(layout, 2, {})), ElementsAre("F0.0 F1.0 F2.0 F0.1 F1.1 F2.1"));
}

TEST(Schedule, GPipeRunsAllForwardsFirst) {
  EXPECT_THAT(Training(EvenLayout(2, 1), ScheduleType::kGPipe, 2),
              ElementsAre("F0.0 F1.0 A1.0>1 F0.1 F1.1 A1.1>1 D1.0<1 B1.0 B0.0 D1.1<1 B1.1 R1 B0.1 R0 V",
                          "A2.0<0 F2.0 F3.0 A2.1<0 F2.1 F3.1 B3.0 B2.0 D2.0>0 B3.1 R3 B2.1 D2.1>0 R2 V"));
}

TEST(Schedule, OneForwardOneBackwardStartsBackwardsEarly) {
  EXPECT_THAT(Training(EvenLayout(2, 1), ScheduleType::k1F1B, 2),
              ElementsAre("F0.0 F1.0 A1.0>1 F0.1 F1.1 A1.1>1 D1.0<1 B1.0 B0.0 D1.1<1 B1.1 R1 B0.1 R0 V",
                          "A2.0<0 F2.0 F3.0 A2.1<0 B3.0 B2.0 D2.0>0 F2.1 F3.1 B3.1 R3 B2.1 D2.1>0 R2 V"));
}

TEST(Schedule, InterleavedGoesThroughBothVirtualStagesOfARank) {
  EXPECT_THAT(Training(EvenLayout(2, 2), ScheduleType::kInterleaved, 1),
              ElementsAre("F0.0 F1.0 A1.0>1 A3.0<1 F3.0 A3.0>1 D3.0<1 B3.0 D3.0>1 R3 D1.0<1 B1.0 R1 B0.0 R0 V",
                          "A2.0<0 F2.0 A2.0>0 A4.0<0 F4.0 F5.0 B5.0 R5 B4.0 D4.0>0 R4 D2.0<0 B2.0 D2.0>0 R2 V"));
}

TEST(Schedule, ZeroBubbleSendsGradientsBeforeItComputesThoseOfWeights) {
  EXPECT_THAT(Training(EvenLayout(2, 1), ScheduleType::kZeroBubble, 2),
              ElementsAre("F0.0 F1.0 A1.0>1 F0.1 F1.1 A1.1>1 D1.0<1 I1.0 B0.0 W1.0 D1.1<1 I1.1 B0.1 R0 W1.1 R1 V",
                          "A2.0<0 F2.0 F3.0 A2.1<0 B3.0 I2.0 D2.0>0 F2.1 F3.1 B3.1 R3 I2.1 D2.1>0 W2.0 W2.1 R2 V"));
}

TEST(Schedule, TiedTableIsAddedUpBetweenTheFirstAndTheLastRank) {
  EXPECT_THAT(Training(EvenLayout(3, 1, /*tied=*/true), ScheduleType::k1F1B, 1),
              ElementsAre("F0.0 F1.0 A1.0>1 D1.0<1 B1.0 R1 B0.0 R0 T V", "A2.0<0 F2.0 A2.0>2 D2.0<2 B2.0 D2.0>0 R2 V",
                          "A3.0<1 F3.0 F4.0 B4.0 R0 B3.0 D3.0>1 R3 T V"));
}

TEST(Schedule, ShardsAreGatheredAndReducedByZeroStageAndReshard) {
  const StageLayout layout = EvenLayout(1, 1);
  const auto plan = [&](ShardPolicy policy) { return Training(layout, ScheduleType::k1F1B, 2, policy).at(0); };
  EXPECT_EQ(plan({.zero_stage = 1, .prefetch = 1}),
            "G0 G1 F0.0 G2 F1.0 F2.0 B2.0 B1.0 B0.0 F0.1 F1.1 F2.1 B2.1 R2 B1.1 R1 B0.1 R0 V");
  EXPECT_EQ(plan({.zero_stage = 2, .prefetch = 0}),
            "G0 F0.0 G1 F1.0 G2 F2.0 B2.0 R2 B1.0 R1 B0.0 R0 F0.1 F1.1 F2.1 B2.1 R2 B1.1 R1 B0.1 R0 V");
  EXPECT_EQ(plan({.zero_stage = 3, .reshard = Reshard::kPerUse, .prefetch = 0}),
            "G0 F0.0 X0 G1 F1.0 X1 G2 F2.0 B2.0 X2 R2 G1 B1.0 X1 R1 B0.0 R0 "
            "G0 F0.1 X0 G1 F1.1 X1 G2 F2.1 B2.1 X2 R2 G1 B1.1 X1 R1 B0.1 R0 V");
  EXPECT_EQ(plan({.zero_stage = 3, .reshard = Reshard::kPerMicroBatch, .prefetch = 0}),
            "G0 F0.0 X0 G1 F1.0 G2 F2.0 B2.0 X2 R2 B1.0 X1 R1 B0.0 R0 "
            "G0 F0.1 X0 G1 F1.1 G2 F2.1 B2.1 X2 R2 B1.1 X1 R1 B0.1 R0 V");
  EXPECT_EQ(plan({.zero_stage = 3, .reshard = Reshard::kPerStep, .prefetch = 0}),
            "G0 F0.0 G1 F1.0 G2 F2.0 B2.0 R2 B1.0 R1 B0.0 R0 F0.1 X0 F1.1 F2.1 B2.1 X2 R2 B1.1 X1 R1 B0.1 R0 V");
}

TEST(Schedule, PrefetchGathersEarlierButNeverWhatIsStillWhole) {
  const StageLayout layout = *MakeStageLayout(4, 1, 1, {}, false);
  const auto plan = [&](int prefetch) {
    const ShardPolicy policy = {.zero_stage = 3, .reshard = Reshard::kPerUse, .prefetch = prefetch};
    return Training(layout, ScheduleType::k1F1B, 1, policy).at(0);
  };
  EXPECT_EQ(plan(1),
            "G0 G1 F0.0 X0 G2 F1.0 X1 G3 F2.0 X2 G4 F3.0 X3 G5 F4.0 X4 F5.0 G4 B5.0 X5 R5 G3 B4.0 X4 R4 G2 B3.0 X3 R3 G1 "
            "B2.0 X2 R2 B1.0 X1 R1 B0.0 R0 V");
  EXPECT_EQ(plan(2),  // block 3, group 4, stays: its gather for the backward would be due right after its forward
            "G0 G1 G2 F0.0 X0 G3 F1.0 X1 G4 F2.0 X2 G5 F3.0 X3 F4.0 F5.0 G3 B5.0 X5 R5 G2 B4.0 X4 R4 G1 B3.0 X3 R3 B2.0 X2 "
            "R2 B1.0 X1 R1 B0.0 R0 V");
}

TEST(Schedule, EvaluationPassesForwardsOnAndLetsWeightsGo) {
  EXPECT_THAT(Text(MakeEvaluationPlans(EvenLayout(2, 1), 2, {.zero_stage = 3, .prefetch = 0})),
              ElementsAre("G0 F0.0 X0 G1 F1.0 A1.0>1 X1 G0 F0.1 X0 G1 F1.1 A1.1>1 X1",
                          "G2 A2.0<0 F2.0 X2 G3 F3.0 X3 G2 A2.1<0 F2.1 X2 G3 F3.1 X3"));
}

// ---- what every plan keeps

void ExpectEachActionOnce(const ScheduleCase& c, const std::vector<Plan>& plans) {
  std::map<std::string, int> count;
  for (const Plan& plan : plans) {
    for (const Action& a : plan) {
      if (IsCompute(a.kind)) ++count[ToString(a)];
    }
  }
  const bool split = c.type == ScheduleType::kZeroBubble && c.layout.pp > 1;
  size_t expected = 0;
  for (int g = 0; g < c.layout.num_groups(); ++g) {
    for (int m = 0; m < c.num_micro_batches; ++m) {
      const bool block = g > 0 && g < c.layout.num_groups() - 1;
      for (const char* letter : split && block ? std::vector<const char*>{"F", "I", "W"} : std::vector<const char*>{"F", "B"}) {
        ASSERT_EQ(count[StrCat(letter, g, ".", m)], 1) << letter << g << "." << m;
        ++expected;
      }
    }
  }
  EXPECT_EQ(count.size(), expected);
}

// The sends from one rank to another are the receives there, in the same order.
void ExpectTransfersMatch(const std::vector<Plan>& plans) {
  std::map<std::pair<int, int>, std::vector<std::string>> sent, received;
  for (int rank = 0; rank < static_cast<int>(plans.size()); ++rank) {
    for (const Action& a : plans[rank]) {
      if (a.kind == ActionKind::kSendActivation) sent[{rank, a.peer}].push_back(StrCat("A", a.group + 1, ".", a.micro_batch));
      if (a.kind == ActionKind::kSendGradient) sent[{rank, a.peer}].push_back(StrCat("D", a.group - 1, ".", a.micro_batch));
      if (a.kind == ActionKind::kReceiveActivation) received[{a.peer, rank}].push_back(StrCat("A", a.group, ".", a.micro_batch));
      if (a.kind == ActionKind::kReceiveGradient) received[{a.peer, rank}].push_back(StrCat("D", a.group, ".", a.micro_batch));
    }
  }
  EXPECT_EQ(sent, received);
}

TEST(EverySchedule, ComputesEachGroupOnceInTheOrderOfItsDataWithoutDeadlock) {
  ForEverySchedule([](const ScheduleCase& c) {
    SCOPED_TRACE(c.ToString());
    const std::vector<Plan> training = MakeTrainingPlans(c.layout, c.type, c.num_micro_batches, {});
    ASSERT_NO_FATAL_FAILURE(ExpectEachActionOnce(c, training));
    ExpectTransfersMatch(training);
    ASSERT_EQ(Simulate(training, c.layout, {.head = 2}).DeadlockText(), "");  // also checks that inputs are there
    const std::vector<Plan> evaluation = MakeEvaluationPlans(c.layout, c.num_micro_batches, {});
    ExpectTransfersMatch(evaluation);
    ASSERT_EQ(Simulate(evaluation, c.layout, {.head = 2}).DeadlockText(), "");
  });
}

// Which matrices an action reads and adds gradients to, said once more.
int MatricesOf(const StageLayout& layout, int group) { return layout.tied && group == layout.num_groups() - 1 ? 0 : group; }
bool Reads(const Action& a) {
  return a.kind == ActionKind::kForward || a.kind == ActionKind::kBackwardInput || (a.kind == ActionKind::kBackward && a.group > 0);
}
bool AddsGradients(const Action& a) { return a.kind == ActionKind::kBackward || a.kind == ActionKind::kBackwardWeight; }

// Empty when `plan` gathers, releases and reduces as `stage` asks; else what is wrong.
std::string FaultOf(const Plan& plan, const StageLayout& layout, int stage) {
  std::set<int> whole, gathered, unreduced;
  std::map<int, int> reductions;
  for (const Action& a : plan) {
    const int group = IsCompute(a.kind) ? MatricesOf(layout, a.group) : a.group;
    if (a.kind == ActionKind::kGather) {
      if (stage == 0 || !whole.insert(group).second) return StrCat(ToString(a), " without need");
      if (!gathered.insert(group).second && stage < 3) return StrCat(ToString(a), " twice");
    } else if (a.kind == ActionKind::kRelease) {
      if (stage < 3 || whole.erase(group) == 0) return StrCat(ToString(a), " of what is not whole");
    } else if (a.kind == ActionKind::kReduce) {
      if (unreduced.erase(group) == 0) return StrCat(ToString(a), " of nothing");
      if (++reductions[group] > 1 && stage < 2) return StrCat(ToString(a), " twice");
    } else if (IsCompute(a.kind)) {
      if (stage > 0 && Reads(a) && whole.count(group) == 0) return StrCat(ToString(a), " reads what is not whole");
      if (AddsGradients(a) && !unreduced.insert(group).second && stage >= 2) return StrCat(ToString(a), " before a reduction");
    }
  }
  if (stage == 3 && !whole.empty()) return StrCat("group ", *whole.begin(), " is whole at the end");
  if (!unreduced.empty()) return StrCat("group ", *unreduced.begin(), " is not reduced");
  return "";
}

// The last gradient of a group is before its reduction: FaultOf sees it. So do T and V at the end, here.
void ExpectEnd(const StageLayout& layout, const std::vector<Plan>& plans) {
  for (int rank = 0; rank < layout.pp; ++rank) {
    const Plan& plan = plans[rank];
    const auto count = [&plan](ActionKind kind) {
      return std::count_if(plan.begin(), plan.end(), [kind](const Action& a) { return a.kind == kind; });
    };
    const bool tied_rank = layout.tied && layout.pp > 1 && (rank == 0 || rank == layout.pp - 1);
    EXPECT_EQ(plan.back().kind, ActionKind::kReduceVectors);
    EXPECT_EQ(plan[plan.size() - 2].kind == ActionKind::kReduceTied, tied_rank);
    EXPECT_EQ(count(ActionKind::kReduceVectors), 1);
    EXPECT_EQ(count(ActionKind::kReduceTied), tied_rank ? 1 : 0);
  }
}

TEST(EverySchedule, GathersReleasesAndReducesWhatEachZeroStageNeeds) {
  ForEverySchedule([](const ScheduleCase& c) {
    SCOPED_TRACE(c.ToString());
    for (int stage = 0; stage <= 3; ++stage) {
      for (const Reshard reshard : {Reshard::kPerUse, Reshard::kPerMicroBatch, Reshard::kPerStep}) {
        if (stage < 3 && reshard != Reshard::kPerUse) continue;
        const ShardPolicy policy = {.zero_stage = stage, .reshard = reshard, .prefetch = c.num_micro_batches % 4};
        const std::vector<Plan> plans = MakeTrainingPlans(c.layout, c.type, c.num_micro_batches, policy);
        for (const Plan& plan : plans) ASSERT_EQ(FaultOf(plan, c.layout, stage), "") << "ZeRO " << stage;
        ExpectEnd(c.layout, plans);
        if (stage % 3 == 0 && reshard == Reshard::kPerUse) {  // the fewest and the most actions among the compute
          ASSERT_EQ(Simulate(plans, c.layout, {}).DeadlockText(), "");
        }
        for (const Plan& plan : MakeEvaluationPlans(c.layout, c.num_micro_batches, policy)) {
          ASSERT_EQ(FaultOf(plan, c.layout, stage), "") << "ZeRO " << stage << ", evaluation";
        }
      }
    }
  });
}

TEST(EverySchedule, FaultsWouldBeSeen) {
  const StageLayout layout = EvenLayout(1, 1);
  const auto without = [&](int stage, ActionKind kind) {
    Plan plan = MakeTrainingPlans(layout, ScheduleType::k1F1B, 1, {.zero_stage = stage, .reshard = Reshard::kPerUse}).at(0);
    plan.erase(std::find_if(plan.begin(), plan.end(), [kind](const Action& a) { return a.kind == kind; }));
    return FaultOf(plan, layout, stage);
  };
  EXPECT_EQ(without(3, ActionKind::kGather), "F0.0 reads what is not whole");
  EXPECT_EQ(without(3, ActionKind::kRelease), "group 0 is whole at the end");
  EXPECT_EQ(without(0, ActionKind::kReduce), "group 2 is not reduced");
}

}  // namespace
}  // namespace weft
