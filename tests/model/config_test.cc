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
                          {"model_type", "gpt2"}};
  for (const Broken& broken : cases) {
    nlohmann::json json = Llama();
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
