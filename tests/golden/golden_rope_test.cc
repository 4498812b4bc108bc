// RoPE frequencies and tables against transformers, for every scaling (tests/golden/README.md).
#include <gtest/gtest.h>

#include "model/rope_table.h"
#include "tests/golden/golden_file.h"

namespace weft {
namespace {

// The case's rope parameters as the part of a config.json that decides the table.
ModelConfig ConfigOf(const nlohmann::json& parameters) {
  nlohmann::json json = {{"model_type", "llama"}, {"vocab_size", 8}, {"hidden_size", parameters.at("head_dim")},
                         {"intermediate_size", 8}, {"num_hidden_layers", 1}, {"num_attention_heads", 1},
                         {"max_position_embeddings", 131072}, {"rope_parameters", parameters}};
  const StatusOr<ModelConfig> config = ModelConfigFromJson(json, "golden");
  EXPECT_TRUE(config.ok()) << config.status();
  return *config;
}

TEST(GoldenRope, TablesAreTransformers) {
  const GoldenFile golden("tests/golden/rope.safetensors");
  const nlohmann::json provenance = nlohmann::json::parse(golden.file().metadata().at("provenance"));
  const auto positions = golden.Read<int64_t>("positions");
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  ASSERT_GE(provenance.at("cases").size(), 8u);
  for (const auto& [name, parameters] : provenance.at("cases").items()) {
    const ModelConfig config = ConfigOf(parameters);
    const RopeFrequencies frequencies = ComputeRopeFrequencies(config);
    EXPECT_NEAR(frequencies.attention_factor, golden.Floats(name + ".attention_factor")[0], 1e-6) << name;
    const std::vector<float> inverse(frequencies.inverse.begin(), frequencies.inverse.end());
    EXPECT_LT(RelativeDistance(inverse, golden.Floats(name + ".inv_freq")), 1e-6) << name;

    const RopeTable table = MakeRopeTable(*stream, config, positions.back() + 1);
    const int64_t half = config.head_dim / 2;
    std::vector<float> cos, sin;
    for (int64_t position : positions) {
      for (int64_t i = 0; i < half; ++i) {
        cos.push_back(table.cos.data<float>()[position * half + i]);
        sin.push_back(table.sin.data<float>()[position * half + i]);
      }
    }
    // An inverse frequency that transformers rounded to f32 moves the angle at position 131071 by up to 4e-3.
    EXPECT_LT(RelativeDistance(cos, golden.Floats(name + ".cos")), 1e-4) << name;
    EXPECT_LT(RelativeDistance(sin, golden.Floats(name + ".sin")), 1e-4) << name;
  }
}

}  // namespace
}  // namespace weft
