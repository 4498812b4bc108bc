// Checkpoints across layouts: a run saved under one mesh goes on under another as if nothing had happened, and under the
// same mesh bit for bit. Thread ranks with random delays.
#include <gtest/gtest.h>

#include <cmath>

#include "parallel/thread_communicator.h"
#include "tests/equivalence/checkpoint_tensors.h"
#include "tests/equivalence/composition.h"
#include "tests/equivalence/uneven_run.h"
#include "trainer/trainer.h"

namespace weft {
namespace {

constexpr int kCut = UnevenRun::kSteps / 2;  // steps before the interruption

struct Outcome {
  std::vector<double> losses, grad_norms;              // of all steps
  std::map<std::string, std::vector<float>> tensors;  // weights and moments of the last checkpoint
};

class ResumeAcrossLayouts : public testing::Test {
 protected:
  // Trains, or goes on with, the run of that name up to step `steps`.
  Outcome Train(const std::string& name, const Composition& composition, int steps) const {
    const RunConfig config = run_.ConfigOf(composition, {"output=" + run_.Path(name), "steps=" + std::to_string(steps)});
    RunThreadRanks(composition.mesh.size(), [&](Communicator& world) {
      const auto trainer = Trainer::Create(config, {.world = world, .device = Device::Cpu(), .asynchronous_streams = true});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      const Status status = (*trainer)->Run();
      ASSERT_TRUE(status.ok()) << status;
    });
    return {.losses = MetricOf(run_.Path(name), "loss"), .grad_norms = MetricOf(run_.Path(name), "grad_norm"),
            .tensors = ReadCheckpointTensors(run_.Path(name))};
  }

 private:
  const UnevenRun run_;
};

const Composition kReplicas = {.mesh = {.dp = 2}, .zero_stage = 3};
const Composition kPipeline = {.mesh = {.pp = 2, .tp = 2}, .accumulation = 4};
const Composition kAll = {.mesh = {.pp = 2, .dp = 2, .tp = 2}, .zero_stage = 3, .offload = true, .accumulation = 4};

class ResumeOnTheSameMesh : public ResumeAcrossLayouts, public testing::WithParamInterface<Composition> {};

TEST_P(ResumeOnTheSameMesh, GoesOnBitForBit) {
  const Outcome whole = Train("whole", GetParam(), UnevenRun::kSteps);
  Train("cut", GetParam(), kCut);
  const Outcome cut = Train("cut", GetParam(), UnevenRun::kSteps);
  ASSERT_EQ(whole.losses.size(), static_cast<size_t>(UnevenRun::kSteps));
  EXPECT_EQ(cut.losses, whole.losses);
  EXPECT_EQ(cut.grad_norms, whole.grad_norms);
  ASSERT_FALSE(whole.tensors.empty());
  EXPECT_TRUE(cut.tensors == whole.tensors) << "weights or moments differ";
}

INSTANTIATE_TEST_SUITE_P(Layouts, ResumeOnTheSameMesh, testing::Values(kReplicas, kPipeline, kAll),
                         [](const auto& info) { return info.param.Name(); });

struct Move {
  Composition from, to;
};
void PrintTo(const Move& move, std::ostream* out) { *out << move.from.Name() << " to " << move.to.Name(); }

class ResumeOnAnotherMesh : public ResumeAcrossLayouts, public testing::WithParamInterface<Move> {};

TEST_P(ResumeOnAnotherMesh, GoesOnAsUndisturbed) {
  const Outcome whole = Train("whole", GetParam().from, UnevenRun::kSteps);
  Train("moved", GetParam().from, kCut);
  const Outcome moved = Train("moved", GetParam().to, UnevenRun::kSteps);
  ASSERT_EQ(moved.losses.size(), static_cast<size_t>(UnevenRun::kSteps));
  ASSERT_EQ(moved.losses.size(), whole.losses.size());
  for (size_t i = 0; i < whole.losses.size(); ++i) {
    EXPECT_NEAR(moved.losses[i], whole.losses[i], 1e-5 * whole.losses[i]) << "step " << i + 1;
    EXPECT_NEAR(moved.grad_norms[i], whole.grad_norms[i], 1e-5 * whole.grad_norms[i]) << "step " << i + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, ResumeOnAnotherMesh,
                         testing::Values(Move{kReplicas, kPipeline}, Move{kPipeline, kReplicas},
                                         Move{kAll, OneRank("llama", false)}, Move{OneRank("llama", false), kAll}),
                         [](const auto& info) { return info.param.from.Name() + "_to_" + info.param.to.Name(); });

}  // namespace
}  // namespace weft
