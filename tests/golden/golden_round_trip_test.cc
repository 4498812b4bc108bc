// Models as transformers writes them survive import, checkpoint and export bit for bit: names, shapes, bytes, and what
// config.json says of the shape (tests/golden/README.md).
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "checkpoint/hugging_face.h"
#include "core/file.h"
#include "tests/data/scratch_folder.h"
#include "tests/golden/golden_file.h"
#include "tests/model/tiny_model.h"
#include "trainer/train_state.h"

namespace weft {
namespace {

struct ForeignTensor {
  std::vector<uint64_t> shape;
  std::string dtype, bytes;
  bool operator==(const ForeignTensor&) const = default;
};

std::map<std::string, ForeignTensor> TensorsOf(const std::string& folder) {
  const StatusOr<SafetensorsFile> file = SafetensorsFile::Open(folder + "/model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  std::map<std::string, ForeignTensor> tensors;
  for (const SafetensorsEntry& entry : file->entries()) {
    tensors[entry.name] = {{entry.shape.begin(), entry.shape.end()}, entry.dtype, std::string(file->Data(entry))};
  }
  return tensors;
}

nlohmann::json ConfigOf(const std::string& folder) {
  return nlohmann::json::parse(*ReadFile(folder + "/config.json"));
}

// The exported config.json against the original's, by their texts: a reader of ours may lose the same on both sides.
void ExpectSameConfig(const nlohmann::json& exported, const nlohmann::json& original) {
  static const std::set<std::string> kHeld = {
      "architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
      "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "hidden_act",
      "mlp_bias", "initializer_range", "tie_word_embeddings", "bos_token_id", "eos_token_id", "n_positions", "n_embd",
      "n_layer", "n_head", "activation_function", "layer_norm_epsilon", "attn_pdrop", "embd_pdrop", "resid_pdrop"};
  size_t num_held = 0;
  for (const auto& [key, value] : original.items()) {
    if (!kHeld.contains(key)) continue;
    EXPECT_EQ(exported.value(key, nlohmann::json()), value) << key;
    ++num_held;
  }
  EXPECT_GE(num_held, 15u);
  if (!original.contains("rope_parameters")) return;
  // transformers 5's spelling was read, transformers 4's is written.
  nlohmann::json rotary = exported.at("rope_scaling");
  if (rotary.is_null()) rotary = {{"rope_type", "default"}};
  rotary["rope_theta"] = exported.at("rope_theta");
  EXPECT_EQ(rotary, original.at("rope_parameters"));
}

class GoldenRoundTrip : public testing::TestWithParam<std::string> {};

TEST_P(GoldenRoundTrip, KeepsEveryBit) {
  const std::string original = "tests/golden/" + GetParam() + "/model";
  const StatusOr<ModelConfig> config = ReadModelConfig(original);
  ASSERT_TRUE(config.ok()) << config.status();
  TinyRig rig(*config, 8);
  const Status loaded = LoadWeights(*rig.stream, rig.store, original);
  ASSERT_TRUE(loaded.ok()) << loaded;
  const ScratchFolder folder;
  const CheckpointInfo info = {.step = 1, .model_config_json = ModelConfigToJson(*config).dump()};
  const Status saved = SaveTrainState(*rig.stream, rig.store, folder.Path("run"), info, *rig.self);
  ASSERT_TRUE(saved.ok()) << saved;
  const Status exported = ExportHuggingFace(*FindCheckpoint(folder.Path("run")), folder.Path("model"));
  ASSERT_TRUE(exported.ok()) << exported;
  EXPECT_TRUE(TensorsOf(folder.Path("model")) == TensorsOf(original));
  const StatusOr<ModelConfig> again = ReadModelConfig(folder.Path("model"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ModelConfigToJson(*again), ModelConfigToJson(*config));
  ExpectSameConfig(ConfigOf(folder.Path("model")), ConfigOf(original));
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenRoundTrip, testing::Values("llama", "llama_tied", "mistral", "qwen2", "qwen3", "gpt2"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
