// The executor of plans on thread ranks with delayed streams.
#include "parallel/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/str_cat.h"
#include "parallel/thread_communicator.h"

namespace weft {
namespace {

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
  Border ActivationToSend(int, int) override { return {}; }
  Border ActivationToReceive(int, int) override { return {}; }
  Border GradientToSend(int, int) override { return {}; }
  Border GradientToReceive(int, int) override { return {}; }
  void ActivationSent(int, int, const Event&) override {}
  void GradientSent(int, int, const Event&) override {}
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
    const ProcessMesh mesh = MakeProcessMesh({.dp = kRanks}, world, world);
    const StageLayout stages = *MakeStageLayout(kGroups - 2, 1, 1, {}, false);
    const Plan plan = MakeTrainingPlans(stages, ScheduleType::k1F1B, kMicroBatches, {})[0];
    ParamStore store(specs, mesh.shape, mesh.coord, Device::Cpu(), {});
    ParamSync sync(&store, mesh, stages, {plan}, compute.get(), reduce.get());
    CountingStage stage(&store, compute.get(), static_cast<float>(world.rank() + 1));
    RunPlan(plan, stages, stage, sync, mesh, {.compute = *compute, .transfer = *compute});
    compute->Synchronize();
    for (int g = 0; g < kGroups; ++g) {
      for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(store.Grad(g).data<float>()[i], kMicroBatches * (1 + 2 + 3));
    }
    EXPECT_THAT(stage.log(), testing::StartsWith("F0.0 F1.0 F2.0 F3.0 B3.0 W3.0 B2.0 "));
  });
}

}  // namespace
}  // namespace weft
