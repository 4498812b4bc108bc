// The check of a layout on thread ranks with delayed streams: sound layouts pass, and each seeded fault is refused with the
// name of a tensor.
#include "trainer/layout_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parallel/thread_communicator.h"
#include "tests/parallel/faulty_communicator.h"

namespace weft {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

ModelConfig Model(const std::string& family, bool tied, int64_t blocks) {
  ModelConfig model;
  model.model_type = family;
  model.vocab_size = 50000;
  model.hidden_size = 4096;
  model.intermediate_size = 11008;
  model.num_hidden_layers = blocks;
  model.num_attention_heads = 32;
  model.num_key_value_heads = 8;
  model.head_dim = 128;
  model.max_position_embeddings = 4096;
  model.tie_word_embeddings = tied;
  model.qkv_bias = family == "qwen2" || family == "gpt2";
  model.qk_norm = family == "qwen3";
  if (family == "gpt2") {
    model.num_key_value_heads = model.num_attention_heads;
    model.norm = NormKind::kLayer;
    model.activation = Activation::kGeluTanh;
    model.positions = PositionKind::kLearned;
    model.output_bias = model.mlp_bias = true;
  }
  return model;
}

struct LayoutCase {
  std::string name;
  MeshShape mesh;
  std::function<void(RunConfig&)> set = [](RunConfig&) {};
  std::string family = "llama";
  bool tied = false;
  int64_t blocks = 3;
};
void PrintTo(const LayoutCase& layout, std::ostream* out) { *out << layout.name; }

RunConfig ConfigOf(const LayoutCase& layout) {
  RunConfig config;
  config.parallel.pp = layout.mesh.pp;
  config.parallel.tp = layout.mesh.tp;
  config.gradient_accumulation_steps = 1;
  layout.set(config);
  return config;
}

// What the ranks answer, by rank; `fault` strikes the communication of all of them.
std::vector<StatusOr<LayoutAgreement>> Check(const LayoutCase& layout, const std::vector<Fault>& faults = {}) {
  const RunConfig config = ConfigOf(layout);
  std::vector<StatusOr<LayoutAgreement>> answers(static_cast<size_t>(layout.mesh.size()), absl::UnknownError("did not run"));
  RunThreadRanks(layout.mesh.size(), [&](Communicator& inner) {
    FaultyCommunicator world(inner, faults);
    const auto seed = static_cast<uint64_t>(3 * world.rank() + 1);
    const auto stream = [seed](uint64_t n) { return Stream::Create(Device::Cpu(), {.asynchronous = true, .delay_seed = seed + n}); };
    const std::unique_ptr<Stream> compute = stream(0), comm = stream(1), transfer = stream(2);
    const ProcessMesh mesh = MakeProcessMesh(layout.mesh, world, world);
    answers[static_cast<size_t>(world.rank())] =
        CheckLayout(config, Model(layout.family, layout.tied, layout.blocks), mesh, {*compute, *comm, *transfer, {}});
  });
  return answers;
}

class SoundLayout : public testing::TestWithParam<LayoutCase> {};

TEST_P(SoundLayout, Passes) {
  for (const StatusOr<LayoutAgreement>& answer : Check(GetParam())) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_LT(answer->loss, 1e-5);
    EXPECT_LT(answer->gradient, 1e-5);
    EXPECT_GT(answer->gradient, 0) << "sums in another order round otherwise: nothing was compared";
  }
}

void UseZero3(RunConfig& config) { config.zero_optimization.stage = 3; }

void UseEverything(RunConfig& config) {
  UseZero3(config);
  config.zero_optimization.offload_optimizer.device = OffloadDevice::kCpu;
  config.gradient_accumulation_steps = 4;
  config.recompute = Recompute::kBlock;
  config.precision = Precision::kBf16;
  config.parallel.schedule = ScheduleType::kInterleaved;
  config.parallel.interleave = 2;
}

INSTANTIATE_TEST_SUITE_P(
    All, SoundLayout,
    testing::Values(LayoutCase{.name = "Replicas", .mesh = {.dp = 3}, .tied = true}, LayoutCase{.name = "Shards", .mesh = {.dp = 3}, .set = UseZero3},
                    LayoutCase{.name = "Tensors", .mesh = {.tp = 4}, .family = "qwen2"},
                    LayoutCase{.name = "LearnedPositions", .mesh = {.pp = 2, .tp = 2}, .family = "gpt2", .tied = true},
                    LayoutCase{.name = "UnevenPipeline", .mesh = {.pp = 3},
                               .set = [](RunConfig& c) {
                                 c.parallel.schedule = ScheduleType::kZeroBubble;
                                 c.parallel.blocks_per_stage = {0, 5, 0};
                                 c.gradient_accumulation_steps = 100;
                               },
                               .tied = true, .blocks = 5},
                    LayoutCase{.name = "Everything", .mesh = {.pp = 2, .dp = 2, .tp = 2}, .set = UseEverything, .family = "qwen3", .tied = true,
                               .blocks = 5}),
    [](const auto& info) { return info.param.name; });

struct SeededFault {
  LayoutCase layout;
  Fault fault;
  std::string what;  // that the message names
};
void PrintTo(const SeededFault& seeded, std::ostream* out) { *out << seeded.layout.name; }

class LayoutWithFault : public testing::TestWithParam<SeededFault> {};

TEST_P(LayoutWithFault, IsRefusedByTheNameOfATensor) {
  for (const StatusOr<LayoutAgreement>& answer : Check(GetParam().layout, {GetParam().fault})) {
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(ExitCode(answer.status()), 1);
    const std::string message(answer.status().message());
    EXPECT_THAT(message, HasSubstr(GetParam().what));
    EXPECT_THAT(message, AnyOf(HasSubstr(" on rank "), HasSubstr(" on ranks ")));
    EXPECT_THAT(message, HasSubstr("verify_parallel: never"));
  }
  EXPECT_GT(*GetParam().fault.num_struck, 0) << "the fault found no call to strike";
}

LayoutCase Replicas(const std::string& name, int zero_stage) {
  return {.name = name, .mesh = {.dp = 2}, .set = [zero_stage](RunConfig& c) { c.zero_optimization.stage = zero_stage; }};
}

LayoutCase TiedPipeline(const std::string& name) {
  return {.name = name, .mesh = {.pp = 2}, .set = [](RunConfig& c) { c.gradient_accumulation_steps = 4; }, .tied = true};
}

bool IsMaskCount(const FaultyCall& call) { return call.kind == CallKind::kAllReduce && call.dtype == DType::kI64; }

bool IsGradientForStage0(const FaultyCall& call) { return CallsOn("pp", CallKind::kReceive)(call) && call.communicator.rank() == 0; }

// A step gathers 14 matrices: four of each of three blocks, the table, the head; this is in step 2.
constexpr int kStaleGather = 14 + 5;

// Those of tests/equivalence/seeded_faults_test.cc.
std::vector<SeededFault> SeededFaults() {
  const std::string first = "in step 1 of a tiny model the gradient of ", second = "in step 2 of a tiny model the gradient of ";
  return {
      {Replicas("ReduceSkipped", 0), {.where = CallsOn("dp", CallKind::kAllReduce), .nth = 2}, first},
      {Replicas("ReduceScatterSkipped", 2), {.where = CallsOn("dp", CallKind::kReduceScatter), .nth = 2}, first},
      {Replicas("GradientScaledBy2", 2),
       {.where = CallsOn("dp", CallKind::kReduceScatter), .effect = FaultEffect::kScale, .factor = 2, .nth = 1}, first},
      {TiedPipeline("GradientBetweenStagesScaledBy2"),
       {.where = IsGradientForStage0, .effect = FaultEffect::kScale, .factor = 2, .nth = 1}, first + "embed"},
      {TiedPipeline("TiedSumDropped"), {.where = CallsOn("tied", CallKind::kAllReduce), .nth = Fault::kEvery}, first + "embed"},
      {Replicas("StaleGatherOfZero1", 1), {.where = CallsOn("dp", CallKind::kAllGather), .nth = kStaleGather}, second},
      {Replicas("StaleGatherOfZero3", 3), {.where = CallsOn("dp", CallKind::kAllGather), .nth = kStaleGather}, second},
      {Replicas("MaskCountNotSummed", 0), {.where = IsMaskCount, .nth = Fault::kEvery}, first},
      {{.name = "PartialSumOfTensorParallelSkipped", .mesh = {.tp = 2}}, {.where = CallsOn("tp", CallKind::kReduceScatter), .nth = 5}, first},
  };
}

INSTANTIATE_TEST_SUITE_P(All, LayoutWithFault, testing::ValuesIn(SeededFaults()), [](const auto& info) { return info.param.layout.name; });

TEST(LayoutCheck, NamesTheRanksOnWhichATensorIsOff) {
  Fault fault = {.where = [](const FaultyCall& call) { return CallsOn("dp", CallKind::kReduceScatter)(call) && call.communicator.rank() == 1; },
                 .effect = FaultEffect::kScale, .factor = 2, .nth = 1};
  const StatusOr<LayoutAgreement> answer = Check(Replicas("", 2), {fault})[0];
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("on rank 1."));
}

}  // namespace
}  // namespace weft
