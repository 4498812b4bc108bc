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
    RunPlan(MakeTrainingPlans(OneRank(kGroups - 2), ScheduleType::k1F1B, kMicroBatches, {})[0], stage, store, world, {.compute = *compute, .reduce = *reduce});
    compute->Synchronize();
    for (int g = 0; g < kGroups; ++g) {
      for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(store.Grad(g).data<float>()[i], kMicroBatches * (1 + 2 + 3));
    }
    EXPECT_THAT(stage.log(), testing::StartsWith("F0.0 F1.0 F2.0 F3.0 B3.0 W3.0 B2.0 "));
  });
}

}  // namespace
}  // namespace weft
