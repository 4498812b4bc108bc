// The decoder driven by pipeline plans, on thread ranks with delayed queues: every schedule gives one rank's loss and
// gradients, with pools of exactly the plan's peaks.
#include <gtest/gtest.h>

#include "tests/model/tiny_ranks.h"

namespace weft {
namespace {

constexpr int64_t kLength = 20;
constexpr int kMicroBatches = 4;

// Layers enough for three pipeline ranks to differ, and a vocabulary that two ranks can share.
ModelConfig PipelineConfig(const std::string& model_type) {
  ModelConfig c = TinyConfig(model_type);
  c.vocab_size = 38;
  c.num_hidden_layers = 5;
  return c;
}

const std::vector<MicroBatch>& Batches() {
  static const std::vector<MicroBatch>* const batches = [] {
    auto* made = new std::vector<MicroBatch>;
    for (uint64_t seed = 1; seed <= kMicroBatches; ++seed) made->push_back(TinyBatch(seed, 1, kLength, 38));
    return made;
  }();
  return *batches;
}

const Outcome& OneRank(const std::string& model_type) {
  static std::map<std::string, Outcome>* const outcomes = new std::map<std::string, Outcome>;
  const auto [found, is_new] = outcomes->try_emplace(model_type);
  if (is_new) found->second = TrainOnRanks({.config = PipelineConfig(model_type)}, Batches());
  return found->second;
}

struct PipelineCase {
  const char* name;
  TinyPlace place;
};

class DecoderPipeline : public testing::TestWithParam<PipelineCase> {};

TEST_P(DecoderPipeline, GivesOneRanksLossAndGradients) {
  for (const char* model_type : {"llama", "qwen2", "qwen3", "gpt2"}) {  // tables of qwen2 and gpt2 are tied
    for (const Recompute recompute : {Recompute::kNone, Recompute::kAttention, Recompute::kBlock}) {
      SCOPED_TRACE(StrCat(model_type, ", recompute ", static_cast<int>(recompute)));
      const TinyJob job = {.config = PipelineConfig(model_type), .place = GetParam().place, .recompute = recompute};
      ExpectSame(job, TrainOnRanks(job, Batches()), OneRank(model_type), 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schedules, DecoderPipeline,
    testing::Values(PipelineCase{"gpipe_pp2", {.mesh = {.pp = 2}, .schedule = ScheduleType::kGPipe}},
                    PipelineCase{"one_f_one_b_pp3", {.mesh = {.pp = 3}, .schedule = ScheduleType::k1F1B}},
                    PipelineCase{"zero_bubble_pp3", {.mesh = {.pp = 3}, .schedule = ScheduleType::kZeroBubble}},
                    PipelineCase{"interleaved_pp2",
                                 {.mesh = {.pp = 2}, .schedule = ScheduleType::kInterleaved, .interleave = 2}},
                    PipelineCase{"embedding_and_head_alone",
                                 {.mesh = {.pp = 3}, .schedule = ScheduleType::k1F1B, .blocks_per_stage = {0, 5, 0}}},
                    PipelineCase{"one_f_one_b_pp2_tp2", {.mesh = {.pp = 2, .tp = 2}, .schedule = ScheduleType::k1F1B}},
                    PipelineCase{"zero_bubble_pp2_tp2",
                                 {.mesh = {.pp = 2, .tp = 2}, .schedule = ScheduleType::kZeroBubble}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace weft
