// What a config.json may say, and what is refused before memory is asked for.
#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
