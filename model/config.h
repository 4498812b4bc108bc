// ModelConfig: the shape of a dense decoder (Llama 2/3, Mistral, Qwen2/2.5, Qwen3, GPT-2), read from and written as
// Hugging Face's config.json. Both spellings are read: rope_theta + rope_scaling, torch_dtype (transformers 4) and
// rope_parameters, dtype (transformers 5); the former is written, because every reader knows it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "nlohmann/json.hpp"

namespace weft {

struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3, kYarn };
  Kind kind = Kind::kNone;
  double factor = 1;
  int64_t original_max_position_embeddings = 0;         // llama3, yarn
  double low_freq_factor = 1, high_freq_factor = 4;     // llama3
  double beta_fast = 32, beta_slow = 1;                 // yarn
  double attention_factor = 0;                          // yarn: 0 means derived from the factor
  double mscale = 0, mscale_all_dim = 0;                // yarn, DeepSeek's form: 0 means absent
  bool truncate = true;                                 // yarn: round the correction range to whole dims
  bool operator==(const RopeScaling&) const = default;
};

enum class NormKind : uint8_t { kRms, kLayer };          // layer norm has a bias
enum class Activation : uint8_t { kSwiglu, kGeluTanh };  // gated, or not
enum class PositionKind : uint8_t { kRotary, kLearned };  // angles of q and k, or a table added to the embedding

struct ModelConfig {
  std::string model_type = "llama";  // llama | mistral | qwen2 | qwen3 | gpt2
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;
  NormKind norm = NormKind::kRms;
  double norm_eps = 1e-6;
  Activation activation = Activation::kSwiglu;
  PositionKind positions = PositionKind::kRotary;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  double initializer_range = 0.02;  // standard deviation of new weights
  bool tie_word_embeddings = false;
  bool qkv_bias = false;     // Qwen2, GPT-2
  bool output_bias = false;  // of attention's output projection; GPT-2
  bool mlp_bias = false;     // of both projections of the feed-forward layer; GPT-2
  bool qk_norm = false;      // Qwen3
  int64_t bos_token_id = -1;               // -1: none
  std::vector<int64_t> eos_token_ids;

  int64_t q_dim() const { return num_attention_heads * head_dim; }
  int64_t kv_dim() const { return num_key_value_heads * head_dim; }
  int64_t qkv_dim() const { return q_dim() + 2 * kv_dim(); }
  // What the first projection of the feed-forward layer puts out: gate and up, or up alone.
  int64_t up_dim() const { return (activation == Activation::kSwiglu ? 2 : 1) * intermediate_size; }
};

// `where` names the source in messages (a path). What weft does not build is refused by its key.
StatusOr<ModelConfig> ModelConfigFromJson(const nlohmann::json& json, const std::string& where);
// Whether `path` is a folder or a config.json, not the configuration of a run.
bool IsModel(const std::string& path);
// `path`: a model's folder, or a config.json alone. What a folder's generation_config.json says of eos_token_id counts.
StatusOr<ModelConfig> ReadModelConfig(const std::string& path);
nlohmann::ordered_json ModelConfigToJson(const ModelConfig& config);

// Parameters in all.
int64_t NumParameters(const ModelConfig& config);

}  // namespace weft
