// A served model gives the logits of training's forward pass, whole or token by token, alone or in a batch; and a
// broken folder is refused by one clear error.
#include "inference/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/hugging_face.h"
#include "checkpoint/param_pieces.h"
#include "kernels/gemm.h"
#include "tests/data/scratch_folder.h"
#include "tests/golden/golden_file.h"
#include "tests/inference/model_folder.h"
#include "tests/model/tiny_model.h"

namespace weft {
namespace {

using testing::HasSubstr;

std::unique_ptr<InferenceModel> LoadModel(const std::string& folder, const InferenceModel::Options& options = {}) {
  StatusOr<std::unique_ptr<InferenceModel>> model = InferenceModel::Load(folder, options);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

std::vector<float> CopyOf(absl::Span<const float> values) { return {values.begin(), values.end()}; }

std::vector<int32_t> SomeTokens(uint64_t seed, int64_t n, int64_t vocab_size) {
  const Rng rng(seed, StreamKey("prompt"));
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < n; ++i) {
    tokens.push_back(static_cast<int32_t>(rng.Below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocab_size))));
  }
  return tokens;
}

// Logits after every token of one document, by the Decoder that training uses.
std::vector<float> TrainingLogits(const std::string& folder, std::vector<int32_t> tokens) {
  const int64_t n = static_cast<int64_t>(tokens.size());
  TinyRig rig(*ReadModelConfig(folder), n);
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < rig.store.num_params(); ++id) {
    const ParamSpec& spec = rig.store.specs()[static_cast<size_t>(id)];
    const std::vector<TensorPiece> more = PiecesOf(spec, rig.store.SlabsOf(id), rig.store.Master(id));
    pieces.insert(pieces.end(), more.begin(), more.end());
  }
  const Status loaded = LoadHuggingFacePieces(folder, pieces);
  EXPECT_TRUE(loaded.ok()) << loaded;
  rig.store.RefreshWeights(*rig.stream);
  tokens.push_back(0);  // the last token's target
  BatchBuilder builder(1, n);
  builder.AddPiece(tokens, std::vector<uint8_t>(tokens.size(), 1));
  builder.EndSequence();
  const MicroBatch batch = builder.Take();
  rig.Evaluate(ViewOf(batch), batch.num_unmasked);
  Tensor logits({n, rig.config.vocab_size}, DType::kF32);
  const ConstTensorView lm_head = rig.store.Weight(rig.params.lm_head);
  Gemm(*rig.stream, {.a = rig.decoder.head_input(), .b = lm_head, .c = logits, .transpose_b = true});
  return {logits.data<float>(), logits.data<float>() + logits.num_elements()};
}

// The same by a prompt of `prompt_length` tokens and then token by token.
std::vector<float> ServedLogits(InferenceModel& model, int slot, const std::vector<int32_t>& tokens,
                                size_t prompt_length) {
  std::vector<float> logits = CopyOf(model.Prefill(slot, absl::MakeSpan(tokens).subspan(0, prompt_length)));
  for (size_t i = prompt_length; i < tokens.size(); ++i) {
    const std::vector<float> next = CopyOf(model.Decode({{{slot, tokens[i], static_cast<int64_t>(i)}}}));
    logits.insert(logits.end(), next.begin(), next.end());
  }
  return logits;
}

std::vector<float> LastRows(const std::vector<float>& logits, size_t rows, int64_t vocab_size) {
  return {logits.end() - static_cast<int64_t>(rows) * vocab_size, logits.end()};
}

class ServedModel : public testing::TestWithParam<std::string> {
 protected:
  const std::string folder_ = "tests/golden/" + GetParam() + "/model";
};

TEST_P(ServedModel, ReadsAPromptInChunksAsWhole) {
  const std::unique_ptr<InferenceModel> model = LoadModel(folder_, {.num_threads = 3, .chunk_tokens = 7});
  const std::vector<int32_t> tokens = SomeTokens(2, 40, model->config().vocab_size);
  EXPECT_LT(RelativeDistance(model->AllLogits(tokens), TrainingLogits(folder_, tokens)), 1e-5);
  const std::vector<float> last = CopyOf(model->Prefill(0, tokens));
  EXPECT_LT(RelativeDistance(last, LastRows(TrainingLogits(folder_, tokens), 1, model->config().vocab_size)), 1e-5);
}

TEST_P(ServedModel, GivesTrainingsLogitsWholeAndTokenByToken) {
  const std::unique_ptr<InferenceModel> model = LoadModel(folder_, {.num_slots = 2, .num_threads = 2});
  const int64_t vocab = model->config().vocab_size;
  const std::vector<int32_t> tokens = SomeTokens(1, 40, vocab);
  const std::vector<float> expected = TrainingLogits(folder_, tokens);
  EXPECT_LT(RelativeDistance(model->AllLogits(tokens), expected), 1e-5);
  for (const size_t prompt_length : {1, 2, 17, 39, 40}) {
    const std::vector<float> served = ServedLogits(*model, 1, tokens, prompt_length);
    EXPECT_LT(RelativeDistance(served, LastRows(expected, 41 - prompt_length, vocab)), 1e-5) << prompt_length;
  }
}

TEST_P(ServedModel, GivesPyTorchsLogits) {
  const GoldenFile golden("tests/golden/" + GetParam() + "/golden.safetensors");
  const auto tokens = golden.Read<int64_t>("tokens");
  const int32_t length = golden.Read<int32_t>("cu_seqlens")[1];  // the first document
  const std::vector<int32_t> document(tokens.begin(), tokens.begin() + length);
  const std::unique_ptr<InferenceModel> model = LoadModel(folder_);
  std::vector<float> expected = golden.Floats("logits");
  expected.resize(static_cast<size_t>(length * model->config().vocab_size));
  EXPECT_LT(RelativeDistance(ServedLogits(*model, 0, document, 1), expected), 1e-4);
}

TEST_P(ServedModel, GivesTheSameBitsAloneAndInABatch) {
  const std::unique_ptr<InferenceModel> model = LoadModel(folder_, {.num_slots = 3, .num_threads = 2});
  const int64_t vocab = model->config().vocab_size;
  std::vector<std::vector<int32_t>> sequences;
  for (const int64_t length : {9, 13, 17}) {
    sequences.push_back(SomeTokens(static_cast<uint64_t>(length), length, vocab));
  }
  std::vector<std::vector<float>> alone;
  for (const auto& tokens : sequences) alone.push_back(ServedLogits(*model, 0, tokens, tokens.size() - 1));
  std::vector<InferenceModel::Next> batch;
  for (int s = 2; s >= 0; --s) {
    const auto& tokens = sequences[static_cast<size_t>(s)];
    model->Prefill(s, absl::MakeSpan(tokens).subspan(0, tokens.size() - 1));
    batch.push_back({s, tokens.back(), static_cast<int64_t>(tokens.size()) - 1});
  }
  const std::vector<float> together = CopyOf(model->Decode(batch));
  for (int64_t i = 0; i < 3; ++i) {
    const std::vector<float> row(together.begin() + i * vocab, together.begin() + (i + 1) * vocab);
    EXPECT_EQ(row, LastRows(alone[static_cast<size_t>(2 - i)], 1, vocab)) << i;
  }
}

TEST_P(ServedModel, IsNearItselfInBf16) {
  const std::vector<int32_t> tokens = SomeTokens(1, 30, LoadModel(folder_)->config().vocab_size);
  const std::vector<float> f32 = LoadModel(folder_)->AllLogits(tokens);
  const std::unique_ptr<InferenceModel> model = LoadModel(folder_, {.dtype = DType::kBF16});
  EXPECT_LT(RelativeDistance(model->AllLogits(tokens), f32), 0.05);
  EXPECT_LT(RelativeDistance(ServedLogits(*model, 0, tokens, 1), f32), 0.05);
}

INSTANTIATE_TEST_SUITE_P(Golden, ServedModel, testing::Values("llama", "llama_tied", "qwen2", "qwen3", "gpt2"),
                         [](const auto& info) { return info.param; });

class BrokenModel : public testing::Test {
 protected:
  void SetUp() override { WriteModelFolder(scratch_.Path(), ServableConfig()); }
  // The error of loading the folder.
  std::string Error(const InferenceModel::Options& options = {}) {
    const StatusOr<std::unique_ptr<InferenceModel>> model = InferenceModel::Load(scratch_.Path(), options);
    EXPECT_FALSE(model.ok());
    EXPECT_EQ(ExitCode(model.status()), 2) << model.status();
    return std::string(model.status().message());
  }
  ScratchFolder scratch_;
};

TEST_F(BrokenModel, LoadsBeforeItIsBroken) { LoadModel(scratch_.Path()); }

TEST_F(BrokenModel, WithoutConfig) {
  std::filesystem::remove(scratch_.Path("config.json"));
  EXPECT_THAT(Error(), HasSubstr("config.json"));
}
TEST_F(BrokenModel, WithAConfigThatIsNotJson) {
  scratch_.Write("config.json", "{\"model_type\": ");
  EXPECT_THAT(Error(), HasSubstr("config.json"));
}
TEST_F(BrokenModel, OfAnUnknownArchitecture) {
  nlohmann::json config = ModelConfigToJson(ServableConfig());
  config["model_type"] = "mamba";
  config["architectures"] = {"MambaForCausalLM"};
  scratch_.Write("config.json", config.dump());
  EXPECT_THAT(Error(), HasSubstr("mamba"));
}
TEST_F(BrokenModel, WithoutWeights) {
  std::filesystem::remove(scratch_.Path("model.safetensors"));
  EXPECT_THAT(Error(), HasSubstr("safetensors"));
}
TEST_F(BrokenModel, WithTruncatedWeights) {
  const std::string path = scratch_.Path("model.safetensors");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 5);
  EXPECT_THAT(Error(), HasSubstr("model.safetensors"));
}
TEST_F(BrokenModel, OfOtherShapes) {
  ModelConfig config = ServableConfig();
  config.intermediate_size += 8;
  scratch_.Write("config.json", ModelConfigToJson(config).dump());
  EXPECT_THAT(Error(), HasSubstr("mlp"));
}
TEST_F(BrokenModel, WithMissingTensors) {
  ModelConfig config = ServableConfig();
  config.num_hidden_layers += 1;
  scratch_.Write("config.json", ModelConfigToJson(config).dump());
  EXPECT_THAT(Error(), HasSubstr("layers.3"));
}
TEST_F(BrokenModel, AskedForALongerContextThanItHas) {
  EXPECT_THAT(Error({.capacity = 65}), HasSubstr("max_position_embeddings"));
}

}  // namespace
}  // namespace weft
