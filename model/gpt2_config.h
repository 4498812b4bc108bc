// GPT-2's config.json (transformers: GPT2Config), whose keys are its own: n_embd for hidden_size, n_layer, n_head,
// n_positions, n_inner, layer_norm_epsilon, activation_function.
#pragma once

#include <string>

#include "core/status.h"
#include "model/config.h"

namespace weft {

// As ModelConfigFromJson, of an object whose model_type is gpt2. Absent keys mean what they mean to transformers: the head
// is tied, n_inner is 4 n_embd. Dropout keys (attn_pdrop, embd_pdrop, resid_pdrop) are accepted, and there is no dropout;
// so is reorder_and_upcast_attn, which asks for sums in f32, as they always are here.
StatusOr<ModelConfig> Gpt2ConfigFromJson(const nlohmann::json& json, const std::string& where);
nlohmann::ordered_json Gpt2ConfigToJson(const ModelConfig& config);

}  // namespace weft
