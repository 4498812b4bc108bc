// Where a decoder's parameters live: pipeline ranks, and axes over which gradients are partial.
#include "model/params.h"

#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

namespace weft {
namespace {

DecoderParams OnStages(const std::string& model_type, int pp, const std::vector<int64_t>& blocks_per_stage) {
  const ModelConfig config = TinyConfig(model_type);
  DecoderParams params = MakeDecoderParams(config);
  AssignStages(&params, *MakeStageLayout(static_cast<int>(config.num_hidden_layers), pp, 1, blocks_per_stage,
                                         config.tie_word_embeddings));
  return params;
}

TEST(AssignStages, PutsEachParameterWhereItsGroupRuns) {
  const DecoderParams params = OnStages("llama", 2, {1, 2});
  const auto stages_of = [&](int id) { return params.specs[static_cast<size_t>(id)].stages; };
  EXPECT_EQ(stages_of(params.embedding), std::vector<int>{0});
  EXPECT_EQ(stages_of(params.blocks[0].wqkv), std::vector<int>{0});
  EXPECT_EQ(stages_of(params.blocks[1].attn_norm.weight), std::vector<int>{1});
  EXPECT_EQ(stages_of(params.blocks[2].w_down), std::vector<int>{1});
  EXPECT_EQ(stages_of(params.final_norm.weight), std::vector<int>{1});
  EXPECT_EQ(stages_of(params.lm_head), std::vector<int>{1});
}

TEST(AssignStages, PutsATiedTableOnTheFirstAndTheLastRank) {
  const DecoderParams cut = OnStages("qwen2", 3, {});
  EXPECT_EQ(cut.specs[static_cast<size_t>(cut.embedding)].stages, (std::vector<int>{0, 2}));
  const DecoderParams whole = OnStages("qwen2", 1, {});
  EXPECT_EQ(whole.specs[static_cast<size_t>(whole.embedding)].stages, std::vector<int>{0});
}

// What tp does not cut has partial gradients on every rank, whatever it is.
TEST(MakeDecoderParams, SumsOverTensorParallelRanksWhateverTheyDoNotCut) {
  for (const char* model_type : {"llama", "qwen2", "qwen3", "gpt2"}) {
    for (const ParamSpec& spec : MakeDecoderParams(TinyConfig(model_type)).specs) {
      EXPECT_EQ(spec.grad_sum_axes.contains(Axis::kTp), spec.splits.empty()) << spec.name;
    }
  }
}

}  // namespace
}  // namespace weft
