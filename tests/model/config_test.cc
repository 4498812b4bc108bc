// What a config.json may say, and what is refused before memory is asked for.
#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::HasSubstr;

nlohmann::json Llama() {
  return {{"model_type", "llama"},      {"vocab_size", 512},       {"hidden_size", 64},
          {"intermediate_size", 172},   {"num_hidden_layers", 5},  {"num_attention_heads", 8},
          {"num_key_value_heads", 4},   {"rope_theta", 10000.0}};
}

TEST(ModelConfig, ReadsAndWritesItself) {
  const StatusOr<ModelConfig> config = ModelConfigFromJson(Llama(), "here");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->head_dim, 8);
  const StatusOr<ModelConfig> again = ModelConfigFromJson(nlohmann::json(ModelConfigToJson(*config)), "there");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ModelConfigToJson(*again), ModelConfigToJson(*config));
}

struct Broken {
  const char* key;
  nlohmann::json value;
};

TEST(ModelConfig, RefusesByKeyWhatIsBroken) {
  const Broken cases[] = {{"vocab_size", nullptr},
                          {"vocab_size", 2147483648},
                          {"hidden_size", -64},
                          {"hidden_size", "64"},
                          {"intermediate_size", 9223372036854775807},
                          {"num_hidden_layers", 2000000000},
                          {"num_attention_heads", 0},
                          {"num_key_value_heads", 16},
                          {"num_key_value_heads", 3},
                          {"head_dim", 4611686018427387904},
                          {"head_dim", 7},
                          {"max_position_embeddings", -1},
                          {"max_position_embeddings", 4611686018427387904},
                          {"mlp_bias", "yes"},
                          {"hidden_act", "gelu"},
                          {"partial_rotary_factor", 0.5},
                          {"model_type", "gptj"}};
  for (const Broken& broken : cases) {
    nlohmann::json json = Llama();
    json[broken.key] = broken.value;
    const StatusOr<ModelConfig> config = ModelConfigFromJson(json, "here");
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << broken.key << " " << broken.value;
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(broken.key));
  }
}

nlohmann::json Gpt2() {
  return {{"model_type", "gpt2"}, {"vocab_size", 512},    {"n_embd", 64}, {"n_layer", 3},     {"n_head", 4},
          {"n_positions", 128},   {"n_ctx", 128},         {"n_inner", nullptr},      {"attn_pdrop", 0.1}, {"resid_pdrop", 0.1},
          {"embd_pdrop", 0.1},    {"layer_norm_epsilon", 1e-5}, {"activation_function", "gelu_new"}, {"eos_token_id", 511}};
}

TEST(ModelConfig, ReadsGpt2ByItsOwnKeys) {
  const StatusOr<ModelConfig> config = ModelConfigFromJson(Gpt2(), "here");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hidden_size, 64);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_EQ(config->num_key_value_heads, 4);
  EXPECT_EQ(config->intermediate_size, 256);
  EXPECT_EQ(config->max_position_embeddings, 128);
  EXPECT_TRUE(config->tie_word_embeddings) << "transformers' default";
  EXPECT_EQ(config->eos_token_ids, std::vector<int64_t>{511});
  // Embeddings and positions; two norms, fused qkv, output, up and down with their biases a block; the last norm.
  const int64_t block = 4 * 64 + (64 * 192 + 192) + (64 * 64 + 64) + (64 * 256 + 256) + (256 * 64 + 64);
  EXPECT_EQ(NumParameters(*config), (512 + 128) * 64 + 3 * block + 2 * 64);
  const nlohmann::json written(ModelConfigToJson(*config));
  EXPECT_EQ(written["n_positions"], 128);
  EXPECT_EQ(written["n_ctx"], 128) << "llama.cpp's converter asks for it";
  EXPECT_EQ(written["architectures"][0], "GPT2LMHeadModel");
  const StatusOr<ModelConfig> again = ModelConfigFromJson(written, "there");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ModelConfigToJson(*again), ModelConfigToJson(*config));
}

TEST(ModelConfig, RefusesOfGpt2WhatIsNotBuilt) {
  const Broken cases[] = {{"n_embd", 66},   {"n_embd", nullptr}, {"n_head", 0},   {"n_inner", -1},
                          {"n_positions", 0}, {"layer_norm_epsilon", 0.0}, {"activation_function", "relu"},
                          {"scale_attn_weights", false}, {"scale_attn_by_inverse_layer_idx", true},
                          {"add_cross_attention", true}};
  for (const Broken& broken : cases) {
    nlohmann::json json = Gpt2();
    json[broken.key] = broken.value;
    const StatusOr<ModelConfig> config = ModelConfigFromJson(json, "here");
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << broken.key << " " << broken.value;
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(broken.key));
  }
}

TEST(ModelConfig, ReadsBothSpellingsOfRotaryPositions) {
  nlohmann::json older = Llama(), newer = Llama();
  older["rope_theta"] = 5e5;
  older["rope_scaling"] = {{"type", "llama3"},      {"factor", 8.0},          {"original_max_position_embeddings", 8192},
                           {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};
  older["torch_dtype"] = "bfloat16";
  newer.erase("rope_theta");
  newer["rope_parameters"] = older["rope_scaling"];
  newer["rope_parameters"].erase("type");
  newer["rope_parameters"]["rope_type"] = "llama3";
  newer["rope_parameters"]["rope_theta"] = 5e5;
  newer["dtype"] = "bfloat16";
  const StatusOr<ModelConfig> a = ModelConfigFromJson(older, "older"), b = ModelConfigFromJson(newer, "newer");
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_EQ(ModelConfigToJson(*a), ModelConfigToJson(*b));
  EXPECT_EQ(b->rope_theta, 5e5);
  EXPECT_EQ(b->rope_scaling.factor, 8);
}

TEST(ModelConfig, TakesWindowsThatChangeNothing) {
  nlohmann::json json = Llama();
  json["model_type"] = "mistral";
  json["max_position_embeddings"] = 4096;
  for (const nlohmann::json& window : {nlohmann::json(), nlohmann::json(4096), nlohmann::json(32768)}) {
    json["sliding_window"] = window;
    const StatusOr<ModelConfig> config = ModelConfigFromJson(json, "here");
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(ModelConfigToJson(*config).at("sliding_window"), nullptr) << "absent, it would be 4096 to transformers";
  }
  json.erase("sliding_window");
  EXPECT_TRUE(ModelConfigFromJson(json, "here").ok()) << "the implied window covers all 4096 positions";
  json["max_position_embeddings"] = 32768;
  EXPECT_THAT(std::string(ModelConfigFromJson(json, "here").status().message()),
              HasSubstr("sliding_window: a window of 4096, which a mistral without this key has,"));
  json["model_type"] = "llama";
  EXPECT_TRUE(ModelConfigFromJson(json, "here").ok()) << "llama has no window";
  json["model_type"] = "mistral";
  json["sliding_window"] = nullptr;
  EXPECT_TRUE(ModelConfigFromJson(json, "here").ok()) << "null is no window";
  json["sliding_window"] = 1024;
  EXPECT_THAT(std::string(ModelConfigFromJson(json, "here").status().message()), HasSubstr("sliding_window"));
}

// Counts by transformers, of models on the meta device.
TEST(ModelConfig, ReadsRealOnesWithTheirParameters) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::map<std::string, int64_t> counts = {
      {"Llama-3.1-8B-Instruct", 8030261248}, {"Llama-3.2-3B-base", 3212749824},
      {"Qwen2-1.5B-Instruct-finetune", 1543714304}, {"Qwen2.5-3B-base", 3085938688},
      {"Qwen2.5-7B-Instruct", 7615616512}, {"Qwen3-14B-base", 14768307200}, {"Qwen3-8B-base", 8190735360}};
  size_t num_read = 0, num_refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(fixtures) + "/configs/hf")) {
    const std::string path = entry.path().string(), name = entry.path().stem().string();
    EXPECT_TRUE(IsModel(path));
    const StatusOr<ModelConfig> config = ReadModelConfig(path);
    if (counts.contains(name)) {
      ASSERT_TRUE(config.ok()) << config.status();
      EXPECT_EQ(NumParameters(*config), counts.at(name)) << name;
      ++num_read;
    } else {
      EXPECT_THAT(std::string(config.status().message()),
                  testing::MatchesRegex(".*: model_type '(deepseek_v2|deepseek_v3|qwen3_moe)' is a mixture of experts, which "
                                        "is not supported yet"));
      ++num_refused;
    }
  }
  EXPECT_EQ(num_read, counts.size());
  EXPECT_EQ(num_refused, 3u);
}

TEST(ModelConfig, TakesTheEndsOfTextsFromItsGenerationConfig) {
  const ScratchFolder folder;
  nlohmann::json json = Llama();
  json["eos_token_id"] = 5;
  folder.Write("config.json", json.dump());
  EXPECT_EQ(ReadModelConfig(folder.Path())->eos_token_ids, std::vector<int64_t>{5});
  folder.Write("generation_config.json", R"({"eos_token_id": [5, 7]})");
  EXPECT_EQ(ReadModelConfig(folder.Path())->eos_token_ids, (std::vector<int64_t>{5, 7}));
  folder.Write("generation_config.json", R"({"temperature": 0.6})");
  EXPECT_EQ(ReadModelConfig(folder.Path())->eos_token_ids, std::vector<int64_t>{5});
  folder.Write("generation_config.json", R"({"eos_token_id": [7, 512, -1, 4294967301]})");
  EXPECT_EQ(ReadModelConfig(folder.Path())->eos_token_ids, std::vector<int64_t>{7}) << "the vocabulary ends at 511";
  folder.Write("generation_config.json", R"({"eos_token_id": 128001})");
  EXPECT_EQ(ReadModelConfig(folder.Path())->eos_token_ids, std::vector<int64_t>{5});
  folder.Write("generation_config.json", "{");
  EXPECT_FALSE(ReadModelConfig(folder.Path()).ok());
}

TEST(ModelConfig, LeavesOutEndsOfTextsThatCannotComeUp) {
  nlohmann::json llama = Llama(), gpt2 = Gpt2();
  llama["eos_token_id"] = gpt2["eos_token_id"] = {511, 512, 50256};
  for (const nlohmann::json& json : {llama, gpt2}) {
    EXPECT_EQ(ModelConfigFromJson(json, "here")->eos_token_ids, std::vector<int64_t>{511});
  }
}

TEST(ModelConfig, RefusesLlama3ScalingThatDividesByZero) {
  nlohmann::json json = Llama();
  json["rope_scaling"] = {{"rope_type", "llama3"},     {"factor", 8.0}, {"original_max_position_embeddings", 8192},
                          {"low_freq_factor", 4.0}, {"high_freq_factor", 4.0}};
  EXPECT_THAT(std::string(ModelConfigFromJson(json, "here").status().message()), HasSubstr("low_freq_factor"));
}

TEST(ModelConfig, CountsTheLargestModelWithoutOverflow) {
  nlohmann::json json = Llama();
  for (const auto& [key, most] : {std::pair("vocab_size", 1 << 24), {"hidden_size", 1 << 20}, {"intermediate_size", 1 << 22},
                                  {"num_hidden_layers", 1 << 12}, {"num_attention_heads", 1 << 12},
                                  {"num_key_value_heads", 1 << 12}, {"head_dim", 1 << 12}}) {
    json[key] = most;
  }
  const StatusOr<ModelConfig> config = ModelConfigFromJson(json, "here");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_GT(NumParameters(*config), int64_t{1} << 56);
}

}  // namespace
}  // namespace weft
