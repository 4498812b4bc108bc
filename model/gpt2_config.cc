// Reading and writing of GPT-2's config.json (see gpt2_config.h).
#include "model/gpt2_config.h"

#include "model/config_limits.h"
#include "model/json_reader.h"

namespace weft {
namespace {

// What would change the arithmetic and is not built.
Status RefuseUnsupported(JsonReader& reader, const std::string& where) {
  const std::string activation = reader.String("activation_function", "gelu_new");
  if (activation != "gelu_new" && activation != "gelu_pytorch_tanh") {
    return UserError(where, ": activation_function: '", activation, "' is not supported; expected gelu_new or gelu_pytorch_tanh");
  }
  const struct {
    const char* key;
    bool built;
  } choices[] = {{"scale_attn_weights", true}, {"scale_attn_by_inverse_layer_idx", false}, {"add_cross_attention", false}};
  for (const auto& [key, built] : choices) {
    if (reader.Boolean(key, built) != built) return UserError(where, ": ", key, ": ", built ? "false" : "true", " is not supported");
  }
  if (reader.Has("quantization_config")) return UserError(where, ": quantization_config: quantised weights are not supported");
  return reader.status();
}

}  // namespace

StatusOr<ModelConfig> Gpt2ConfigFromJson(const nlohmann::json& object, const std::string& where) {
  JsonReader reader(object, where);
  ModelConfig c;
  c.model_type = "gpt2";
  c.norm = NormKind::kLayer;
  c.activation = Activation::kGeluTanh;
  c.positions = PositionKind::kLearned;
  c.qkv_bias = c.output_bias = c.mlp_bias = true;
  c.vocab_size = reader.RequiredSize("vocab_size", kMostVocabulary);
  c.hidden_size = reader.RequiredSize("n_embd", kMostWidth);
  c.num_hidden_layers = reader.RequiredSize("n_layer", kMostLayers);
  c.num_attention_heads = c.num_key_value_heads = reader.RequiredSize("n_head", kMostHeads);
  c.intermediate_size = reader.Size("n_inner", 4 * c.hidden_size, kMostFfn);
  c.max_position_embeddings = reader.Size("n_positions", 1024, kMostPositions);
  c.norm_eps = reader.Number("layer_norm_epsilon", 1e-5);
  c.initializer_range = reader.Number("initializer_range", 0.02);
  c.tie_word_embeddings = reader.Boolean("tie_word_embeddings", true);
  c.bos_token_id = reader.Integer("bos_token_id", -1);
  c.eos_token_ids = reader.TokenIds("eos_token_id", c.vocab_size);
  WEFT_RETURN_IF_ERROR(reader.status());
  if (c.hidden_size % c.num_attention_heads != 0) {
    return UserError(where, ": n_embd (", c.hidden_size, ") must be a multiple of n_head (", c.num_attention_heads, ")");
  }
  c.head_dim = c.hidden_size / c.num_attention_heads;
  if (c.head_dim > kMostHeadDim) return UserError(where, ": n_head: heads of ", c.head_dim, " are larger than ", kMostHeadDim);
  if (!(c.norm_eps > 0)) return UserError(where, ": layer_norm_epsilon must be positive");
  WEFT_RETURN_IF_ERROR(RefuseUnsupported(reader, where));
  return c;
}

nlohmann::ordered_json Gpt2ConfigToJson(const ModelConfig& c) {
  nlohmann::ordered_json out;
  out["architectures"] = {"GPT2LMHeadModel"};
  out["model_type"] = "gpt2";
  out["vocab_size"] = c.vocab_size;
  out["n_positions"] = c.max_position_embeddings;
  out["n_ctx"] = c.max_position_embeddings;  // the older name, which llama.cpp's converter asks for
  out["n_embd"] = c.hidden_size;
  out["n_layer"] = c.num_hidden_layers;
  out["n_head"] = c.num_attention_heads;
  out["n_inner"] = c.intermediate_size;
  out["activation_function"] = "gelu_new";
  out["layer_norm_epsilon"] = c.norm_eps;
  out["initializer_range"] = c.initializer_range;
  out["tie_word_embeddings"] = c.tie_word_embeddings;
  for (const char* key : {"attn_pdrop", "embd_pdrop", "resid_pdrop"}) out[key] = 0.0;  // else transformers takes 0.1
  if (c.bos_token_id >= 0) out["bos_token_id"] = c.bos_token_id;
  if (c.eos_token_ids.size() == 1) out["eos_token_id"] = c.eos_token_ids[0];
  if (c.eos_token_ids.size() > 1) out["eos_token_id"] = c.eos_token_ids;
  return out;
}

}  // namespace weft
