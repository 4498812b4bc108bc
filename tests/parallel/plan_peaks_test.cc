// Peaks: counted once more another way, from the interval in which each piece of memory is held; and their sizes per schedule.
#include "parallel/plan_peaks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/parallel/every_schedule.h"

namespace weft {
namespace {

// Where things happen in a plan.
class Places {
 public:
  explicit Places(const Plan& plan) : plan_(plan) {}
  std::optional<size_t> Of(std::initializer_list<ActionKind> kinds, int group, int micro_batch) const {
    for (size_t i = 0; i < plan_.size(); ++i) {
      const Action& a = plan_[i];
      if (a.group == group && a.micro_batch == micro_batch && std::count(kinds.begin(), kinds.end(), a.kind) > 0) return i;
    }
    return std::nullopt;
  }

 private:
  const Plan& plan_;
};

// How many intervals [begin, end] cover each place.
class Cover {
 public:
  explicit Cover(size_t size) : count_(size, 0) {}
  void Add(std::optional<size_t> begin, std::optional<size_t> end) {
    if (!begin) return;
    ASSERT_TRUE(end.has_value()) << "taken at " << *begin << ", never returned";
    for (size_t i = *begin; i <= *end; ++i) ++count_[i];
  }
  int most() const { return *std::max_element(count_.begin(), count_.end()); }
  int at(size_t place) const { return count_[place]; }

 private:
  std::vector<int> count_;
};

constexpr ActionKind kF = ActionKind::kForward, kB = ActionKind::kBackward, kI = ActionKind::kBackwardInput,
                     kW = ActionKind::kBackwardWeight, kAIn = ActionKind::kReceiveActivation,
                     kAOut = ActionKind::kSendActivation, kDIn = ActionKind::kReceiveGradient,
                     kDOut = ActionKind::kSendGradient;

// `rank`'s peaks of a training plan, or of an evaluation plan.
Peaks Recount(const Plan& plan, const StageLayout& layout, int rank, int num_micro_batches, bool training) {
  const Places places(plan);
  Cover blocks(plan.size()), heads(plan.size()), pending(plan.size()), gradients(plan.size());
  const int head = layout.num_groups() - 1;
  for (int m = 0; m < num_micro_batches; ++m) {
    for (int g = 0; g <= head; ++g) {
      if (layout.RankOfGroup(g) != rank) continue;
      const auto forward = places.Of({kF}, g, m), received = places.Of({kAIn}, g, m), done = places.Of({kB, kW}, g, m);
      const bool first = layout.IsFirstOfStage(g), last = layout.IsLastOfStage(g);
      if (g == 0) {
        if (last) blocks.Add(forward, places.Of({kAOut}, 0, m));
        continue;
      }
      const auto taken = received ? received : g == 1 && !first ? places.Of({kF}, 0, m) : forward;
      const auto forward_end = last ? forward : places.Of({kF}, g + 1, m);
      (g == head ? heads : blocks).Add(taken, training ? done : forward_end);
      if (!training) continue;
      const auto backward = places.Of({kB, kI}, g, m);
      if (g < head) pending.Add(backward, done);
      gradients.Add(backward, first ? places.Of({kDOut}, g, m) : places.Of({kB, kW}, g - 1, m));
      if (last && g < head) gradients.Add(places.Of({kDIn}, g, m), done);
    }
    if (training && layout.RankOfGroup(0) == rank && layout.IsLastOfStage(0)) {
      gradients.Add(places.Of({kDIn}, 0, m), places.Of({kB}, 0, m));
    }
  }
  Peaks peaks = {.block_stashes = blocks.most(), .head_stashes = heads.most(), .pending_weights = pending.most(),
                 .residual_grads = gradients.most()};
  int gathered = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    gathered += (plan[i].kind == ActionKind::kGather) - (plan[i].kind == ActionKind::kRelease);
    peaks.gathered_groups = std::max(peaks.gathered_groups, gathered);
    if (plan[i].kind == kF && plan[i].group > 0 && plan[i].group < head) {
      peaks.pending_weights_at_forward = std::max(peaks.pending_weights_at_forward, pending.at(i));
    }
  }
  return peaks;
}

std::string ToString(const Peaks& p) {
  return StrCat("blocks ", p.block_stashes, " heads ", p.head_stashes, " pending ", p.pending_weights, " at forward ",
                p.pending_weights_at_forward, " gradients ", p.residual_grads, " gathered ", p.gathered_groups);
}

TEST(PlanPeaks, AreThoseOfARecount) {
  ForEverySchedule([](const ScheduleCase& c) {
    if (c.num_micro_batches > 12) return;  // the recount takes time that grows with the square of the plan
    SCOPED_TRACE(c.ToString());
    const std::vector<Plan> training = MakeTrainingPlans(c.layout, c.type, c.num_micro_batches, {.zero_stage = 3});
    const std::vector<Plan> evaluation = MakeEvaluationPlans(c.layout, c.num_micro_batches, {});
    for (int rank = 0; rank < c.layout.pp; ++rank) {
      ASSERT_EQ(ToString(MeasurePeaks(training[rank], c.layout)),
                ToString(Recount(training[rank], c.layout, rank, c.num_micro_batches, true)))
          << "rank " << rank << ": " << ToString(training[rank]);
      ASSERT_EQ(ToString(MeasurePeaks(evaluation[rank], c.layout)),
                ToString(Recount(evaluation[rank], c.layout, rank, c.num_micro_batches, false)))
          << "rank " << rank << ": " << ToString(evaluation[rank]);
    }
  });
}

// Micro-batches (of each virtual stage) whose forward has begun and whose last gradient is not done.
int InFlight(const Plan& plan, const StageLayout& layout) {
  int now = 0, most = 0;
  for (const Action& a : plan) {
    if (!layout.IsBlock(a.group)) continue;
    if (a.kind == kF) most = std::max(most, ++now);
    if (a.kind == kB || a.kind == kW) --now;
  }
  return most;
}

TEST(PlanPeaks, MicroBatchesInFlightAreWhatEachScheduleIsKnownFor) {
  for (int pp = 2; pp <= kMaxStages; ++pp) {
    for (int m = 1; m <= kMaxMicroBatches; ++m) {
      const StageLayout layout = EvenLayout(pp, 1);
      const std::vector<Plan> gpipe = MakeTrainingPlans(layout, ScheduleType::kGPipe, m, {}),
                              one_forward = MakeTrainingPlans(layout, ScheduleType::k1F1B, m, {}),
                              zero_bubble = MakeTrainingPlans(layout, ScheduleType::kZeroBubble, m, {});
      for (int rank = 0; rank < pp; ++rank) {
        EXPECT_EQ(InFlight(gpipe[rank], layout), m);
        EXPECT_EQ(InFlight(one_forward[rank], layout), std::min(m, pp - rank));
        EXPECT_LE(InFlight(zero_bubble[rank], layout), std::min(m, pp));
      }
    }
  }
}

// A receive that stands ahead of its use costs the stash of one block, not of a stage.
TEST(PlanPeaks, ReceivingAheadCostsAtMostOneBlockMore) {
  for (int pp = 2; pp <= kMaxStages; ++pp) {
    const StageLayout layout = *MakeStageLayout(3 * pp, pp, 1, {}, false);
    const std::vector<Plan> plans = MakeTrainingPlans(layout, ScheduleType::k1F1B, kMaxMicroBatches, {});
    for (int rank = 0; rank < pp; ++rank) {
      const int needed = 3 * (pp - rank);
      EXPECT_GE(MeasurePeaks(plans[rank], layout).block_stashes, needed);
      EXPECT_LE(MeasurePeaks(plans[rank], layout).block_stashes, needed + 1);
    }
  }
}

TEST(PlanPeaks, WeightsStayAsLongAsReshardSays) {
  const StageLayout layout = *MakeStageLayout(6, 1, 1, {}, false);
  const auto gathered = [&](Reshard reshard, int prefetch) {
    const ShardPolicy policy = {.zero_stage = 3, .reshard = reshard, .prefetch = prefetch};
    return MeasurePeaks(MakeTrainingPlans(layout, ScheduleType::k1F1B, 4, policy)[0], layout).gathered_groups;
  };
  EXPECT_EQ(gathered(Reshard::kPerUse, 0), 1);
  EXPECT_EQ(gathered(Reshard::kPerUse, 1), 2);
  EXPECT_EQ(gathered(Reshard::kPerUse, 2), 3);
  EXPECT_EQ(gathered(Reshard::kPerMicroBatch, 0), 7);  // all but the embedding, whose backward reads no weights
  EXPECT_EQ(gathered(Reshard::kPerStep, 0), 8);
}

TEST(PlanPeaks, OfOneRankNeedNoMoreThanPlainAccumulation) {
  const StageLayout layout = *MakeStageLayout(3, 1, 1, {}, false);
  const Peaks training = MeasurePeaks(MakeTrainingPlans(layout, ScheduleType::k1F1B, 4, {})[0], layout);
  EXPECT_EQ(ToString(training), "blocks 3 heads 1 pending 1 at forward 0 gradients 2 gathered 0");
  const Peaks evaluation = MeasurePeaks(MakeEvaluationPlans(layout, 4, {})[0], layout);
  EXPECT_EQ(ToString(evaluation), "blocks 2 heads 1 pending 0 at forward 0 gradients 0 gathered 0");
  EXPECT_EQ(Max(training, evaluation), training);
}

}  // namespace
}  // namespace weft
