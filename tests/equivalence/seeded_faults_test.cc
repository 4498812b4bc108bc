// The matrix can fail: each of these faults, planted into the communication of an otherwise sound run, turns it red, and
// by the figure that it should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "tests/equivalence/composition.h"
#include "tests/equivalence/trajectory.h"
#include "tests/equivalence/uneven_run.h"
#include "tests/parallel/faulty_communicator.h"

namespace weft {
namespace {

struct SeededFault {
  std::string name;
  Composition composition;
  Fault fault;
  std::string figure;           // must exceed its tolerance
  bool is_in_first_step = true;  // else the first step's gradients are sound
};
void PrintTo(const SeededFault& seeded, std::ostream* out) { *out << seeded.name; }

// Counts of unmasked tokens are the integers that all ranks sum.
bool IsMaskCount(const FaultyCall& call) { return call.kind == CallKind::kAllReduce && call.dtype == DType::kI64; }

const Composition kReplicas = {.mesh = {.dp = 2}};
const Composition kSummedShards = {.mesh = {.dp = 2}, .zero_stage = 2};
const Composition kWholeWeights = {.mesh = {.dp = 2}, .zero_stage = 1};
const Composition kGatheredWeights = {.mesh = {.dp = 2}, .zero_stage = 3};
const Composition kTiedPipeline = {.mesh = {.pp = 2}, .accumulation = 4, .tied = true};
const Composition kTensors = {.mesh = {.tp = 2}};

// A step gathers each matrix of the model once under ZeRO 1, and at least once under ZeRO 3: four of each of five blocks,
// the table, the head. Of step 2, the sixth: what it should bring is stale by then.
constexpr int kNumGathers = 22;
constexpr int kInStep2 = kNumGathers + 5;
// Under ZeRO 1 an evaluation gathers as a step does: the sixth of the one after the last step, which no step can see.
constexpr int kSteps = UnevenRun::kStepsAnEvaluation;
constexpr int kInEvaluation = kSteps * kNumGathers + 5;

std::vector<SeededFault> SeededFaults() {
  return {
      {"ReduceSkipped", kReplicas, {.where = CallsOn("dp", CallKind::kAllReduce), .nth = 2}, "gradient"},
      {"ReduceScatterSkipped", kSummedShards, {.where = CallsOn("dp", CallKind::kReduceScatter), .nth = 2}, "gradient"},
      {"GradientScaledBy2", kSummedShards,
       {.where = CallsOn("dp", CallKind::kReduceScatter), .effect = FaultEffect::kScale, .factor = 2, .nth = 1}, "gradient"},
      {"GradientBetweenStagesScaledBy2", kTiedPipeline,
       {.where = [](const FaultyCall& call) { return CallsOn("pp", CallKind::kReceive)(call) && call.communicator.rank() == 0; },
        .effect = FaultEffect::kScale, .factor = 2, .nth = 1}, "gradient"},
      {"TiedSumDropped", kTiedPipeline, {.where = CallsOn("tied", CallKind::kAllReduce), .nth = Fault::kEvery}, "gradient"},
      {"StaleGatherOfZero1", kWholeWeights, {.where = CallsOn("dp", CallKind::kAllGather), .nth = kInStep2}, "loss", false},
      {"StaleGatherOfZero3", kGatheredWeights, {.where = CallsOn("dp", CallKind::kAllGather), .nth = kInStep2}, "loss", false},
      {"StaleGatherInEvaluation", kWholeWeights, {.where = CallsOn("dp", CallKind::kAllGather), .nth = kInEvaluation},
       "evaluation", false},
      {"MaskCountNotSummed", kReplicas, {.where = IsMaskCount, .nth = Fault::kEvery}, "gradient"},
      {"PartialSumOfTensorParallelSkipped", kTensors, {.where = CallsOn("tp", CallKind::kReduceScatter), .nth = 5}, "loss"},
  };
}

class EquivalenceWithFault : public testing::TestWithParam<SeededFault> {};

TEST_P(EquivalenceWithFault, IsRed) {
  const SeededFault& seeded = GetParam();
  const UnevenRun run;
  const auto train = [&run](const Composition& composition, const RunOptions& options) {
    return RunOnThreads(run.ConfigOf(composition), composition.mesh.size(), options);
  };
  const Trajectory reference = train(OneRank(seeded.composition.family, seeded.composition.tied), {.asynchronous = false, .steps = kSteps});
  const Difference sound = Compare(reference, train(seeded.composition, {.steps = kSteps}));
  EXPECT_THAT(Exceeded(sound), testing::IsEmpty()) << "without the fault: " << sound.ToString();
  const auto wrap = [&seeded](Communicator& world) {
    return std::make_unique<FaultyCommunicator>(world, std::vector<Fault>{seeded.fault});
  };
  const Difference faulty = Compare(reference, train(seeded.composition, {.steps = kSteps, .decorate = wrap}));
  EXPECT_GT(*seeded.fault.num_struck, 0) << "the fault found no call to strike";
  EXPECT_THAT(Exceeded(faulty), testing::Contains(seeded.figure)) << faulty.ToString();
  EXPECT_EQ(faulty.gradient > Tolerances().gradient, seeded.is_in_first_step) << faulty.ToString();
  std::cout << seeded.name << ": " << faulty.ToString() << "\n";
}

INSTANTIATE_TEST_SUITE_P(Each, EquivalenceWithFault, testing::ValuesIn(SeededFaults()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace weft
