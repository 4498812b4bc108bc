// Plans: what the one-stage schedule holds, and that its executor keeps the order and reduces each group once.
#include "parallel/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "parallel/pipeline.h"
#include "parallel/thread_communicator.h"

namespace weft {
namespace {

TEST(Schedule, PrintsAPlan) {
  EXPECT_EQ(ToString(OneStagePlan(2, 1)), "F0.0 F1.0 B1.0 W1.0 R1 B0.0 W0.0 R0");
  EXPECT_EQ(ToString(OneStagePlan(1, 2)), "F0.0 B0.0 W0.0 F0.1 B0.1 W0.1 R0");
  EXPECT_EQ(ToString(ForwardPlan(2, 2)), "F0.0 F1.0 F0.1 F1.1");
}

TEST(Schedule, OneStageDoesEverythingOnceAndInOrder) {
  for (int groups = 1; groups <= 6; ++groups) {
    for (int micro_batches = 1; micro_batches <= 5; ++micro_batches) {
      const Plan plan = OneStagePlan(groups, micro_batches);
      std::map<std::string, size_t> place;
      for (size_t i = 0; i < plan.size(); ++i) {
        EXPECT_TRUE(place.emplace(ToString(plan[i]), i).second) << ToString(plan[i]) << " twice";
      }
      ASSERT_EQ(plan.size(), static_cast<size_t>(groups * (3 * micro_batches + 1)));
      for (int g = 0; g < groups; ++g) {
        for (int m = 0; m < micro_batches; ++m) {
          const auto at = [&](ActionKind kind, int group) { return place.at(ToString(Action{kind, group, m})); };
          EXPECT_LT(at(ActionKind::kForward, g), at(ActionKind::kBackwardInput, g));
          EXPECT_LT(at(ActionKind::kBackwardInput, g), at(ActionKind::kBackwardWeight, g));
          EXPECT_LT(at(ActionKind::kBackwardWeight, g), place.at(ToString(Action{ActionKind::kReduce, g, 0})));
          if (g > 0) {
            EXPECT_LT(at(ActionKind::kForward, g - 1), at(ActionKind::kForward, g));
            EXPECT_LT(at(ActionKind::kBackwardInput, g), at(ActionKind::kBackwardInput, g - 1));
          }
        }
      }
    }
  }
}

// A stage whose "gradient" of a group is a number that each rank adds for each micro-batch.
class CountingStage : public Stage {
 public:
  CountingStage(ParamStore* store, Stream* stream, float amount) : store_(store), stream_(stream), amount_(amount) {}
  void Forward(int group, int micro_batch) override { log_ += StrCat("F", group, ".", micro_batch, " "); }
  void BackwardInput(int group, int micro_batch) override { log_ += StrCat("B", group, ".", micro_batch, " "); }
  void BackwardWeight(int group, int micro_batch) override {
    log_ += StrCat("W", group, ".", micro_batch, " ");
    const TensorView grad = store_->Grad(group);  // one parameter a group
    stream_->Run([grad, amount = amount_] {
      for (int64_t i = 0; i < grad.num_elements(); ++i) grad.data<float>()[i] += amount;
    });
  }
  const std::string& log() const { return log_; }

 private:
  ParamStore* store_;
  Stream* stream_;
  float amount_;
  std::string log_;
};

TEST(Pipeline, ReducesEachGroupOnceOverTheRanksWhateverTheDelays) {
  constexpr int kRanks = 3, kGroups = 4, kMicroBatches = 2;
  std::vector<ParamSpec> specs;
  for (int g = 0; g < kGroups; ++g) specs.push_back({.name = StrCat("p", g), .shape = {5, 3}, .group = g});
  RunThreadRanks(kRanks, [&](Communicator& world) {
    const auto seed = static_cast<uint64_t>(world.rank() + 1);
    const auto compute = Stream::Create(Device::Cpu(), {.asynchronous = true, .delay_seed = seed});
    const auto reduce = Stream::Create(Device::Cpu(), {.asynchronous = true, .delay_seed = seed + 100});
    ParamStore store(specs, {.dp = kRanks}, Coord{}, Device::Cpu(), {});
    CountingStage stage(&store, compute.get(), static_cast<float>(world.rank() + 1));
    RunPlan(OneStagePlan(kGroups, kMicroBatches), stage, store, world, {.compute = *compute, .reduce = *reduce});
    compute->Synchronize();
    for (int g = 0; g < kGroups; ++g) {
      for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(store.Grad(g).data<float>()[i], kMicroBatches * (1 + 2 + 3));
    }
    EXPECT_THAT(stage.log(), testing::StartsWith("F0.0 F1.0 F2.0 F3.0 B3.0 W3.0 B2.0 "));
  });
}

}  // namespace
}  // namespace weft
