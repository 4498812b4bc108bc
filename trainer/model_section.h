// The `model` section of a run: a folder in Hugging Face layout, or a shape by the names of Hugging Face's config.json
// (transformers: LlamaConfig, Qwen2Config, Qwen3Config, MistralConfig), so that such a file can stand here as it is.
//
// It holds what was written; model/config.h turns it into the shape that is built.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"

namespace weft {

enum class ModelType { kLlama, kQwen2, kQwen3, kMistral };

enum class RopeType { kDefault, kLinear, kLlama3, kYarn };

struct RopeScalingSection {
  RopeType rope_type = RopeType::kDefault;
  std::optional<double> factor;
  std::optional<int64_t> original_max_position_embeddings;
  std::optional<double> low_freq_factor;       // llama3
  std::optional<double> high_freq_factor;      // llama3
  std::optional<double> attention_factor;      // yarn
  std::optional<double> beta_fast, beta_slow;  // yarn
  std::optional<double> mscale, mscale_all_dim;  // yarn
  std::optional<bool> truncate;                // yarn

  void VisitFields(FieldVisitor& v);
};

struct ModelSection {
  std::string path;  // empty: a new model of the shape below

  ModelType model_type = ModelType::kLlama;
  int64_t vocab_size = 0;            // V
  int64_t hidden_size = 0;           // D
  int64_t intermediate_size = 0;     // F
  int64_t num_hidden_layers = 0;     // L
  int64_t num_attention_heads = 0;   // H
  std::optional<int64_t> num_key_value_heads;  // K; resolved to H where absent
  std::optional<int64_t> head_dim;             // Q; resolved to D / H where absent
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::optional<RopeScalingSection> rope_scaling;
  int64_t max_position_embeddings = 2048;
  bool tie_word_embeddings = false;
  std::optional<bool> attention_bias;  // resolved: true on q, k and v for qwen2, else false
  double initializer_range = 0.02;
  std::optional<int64_t> sliding_window;
  std::optional<bool> use_sliding_window;

  void VisitFields(FieldVisitor& v);
};

}  // namespace weft
