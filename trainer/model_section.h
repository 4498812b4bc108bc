// The `model` section of a run: a folder in Hugging Face layout, or a shape by the names of Hugging Face's config.json
// (transformers: LlamaConfig, Qwen2Config, Qwen3Config, MistralConfig, GPT2Config), so that such a file can stand here as it is.
//
// It holds what was written; model/config.h turns it into the shape that is built.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/fields.h"

namespace weft {

enum class ModelType { kLlama, kQwen2, kQwen3, kMistral, kGpt2 };

enum class RopeType { kDefault, kLinear, kLlama3, kYarn };

struct RopeScalingSection {
  RopeType rope_type = RopeType::kDefault;
  std::optional<double> rope_theta;                         // where transformers 5 has it; empty once resolved
  std::optional<double> factor;                             // linear, llama3, yarn
  std::optional<int64_t> original_max_position_embeddings;  // llama3; yarn: max_position_embeddings where absent
  std::optional<double> low_freq_factor, high_freq_factor;  // llama3
  std::optional<double> attention_factor;                   // yarn, as are the rest
  std::optional<double> beta_fast, beta_slow;
  std::optional<double> mscale, mscale_all_dim;
  std::optional<bool> truncate;

  void VisitFields(FieldVisitor& v);
};

struct ModelSection {
  std::string path;  // empty: a new model of the shape below

  ModelType model_type = ModelType::kLlama;
  int64_t vocab_size = 0;                      // V
  int64_t hidden_size = 0;                     // D
  int64_t intermediate_size = 0;               // F; gpt2: 4 D once resolved, where absent
  int64_t num_hidden_layers = 0;               // L
  int64_t num_attention_heads = 0;             // H
  std::optional<int64_t> num_key_value_heads;  // K; H once resolved, where absent
  std::optional<int64_t> head_dim;             // Q; D / H once resolved, where absent (qwen3: 128)
  std::optional<double> rms_norm_eps;          // 1e-6 once resolved, where absent; none in gpt2
  std::optional<double> layer_norm_epsilon;    // gpt2 alone: 1e-5 once resolved, where absent
  std::optional<std::string> activation_function;  // gpt2 alone: gelu_new, gelu_pytorch_tanh
  double rope_theta = 10000.0;
  std::optional<RopeScalingSection> rope_scaling;
  int64_t max_position_embeddings = 2048;
  std::optional<bool> tie_word_embeddings;  // once resolved, where absent: whether this is gpt2
  std::optional<bool> attention_bias;  // once resolved: whether this is qwen2 (q, k and v) or gpt2 (all projections)
  double initializer_range = 0.02;     // standard deviation of new weights
  std::optional<int64_t> sliding_window;
  std::optional<bool> use_sliding_window;

  void VisitFields(FieldVisitor& v);
};

// Checks the section and fills in what follows from other keys. Reports mistakes through `fail`, with the dotted key.
using ModelFailure = std::function<void(std::string_view key, std::string_view message)>;
void ResolveModelSection(ModelSection& model, int64_t sequence_length, const ModelFailure& fail);

}  // namespace weft
