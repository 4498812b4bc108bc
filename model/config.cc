// Reading and writing of config.json (see config.h).
#include "model/config.h"

#include <filesystem>

#include "core/file.h"
#include "model/config_limits.h"
#include "model/gpt2_config.h"
#include "model/json_reader.h"

namespace weft {
namespace {

using nlohmann::json;

constexpr int64_t kMistralWindow = 4096;  // transformers' default where the key is absent; null is no window

Status ReadRopeScaling(const json& object, const std::string& where, RopeScaling* scaling) {
  JsonReader reader(object, StrCat(where, ": rope_scaling"));
  const std::string kind = reader.String("rope_type", reader.String("type", "default"));
  if (kind == "default") return reader.status();
  if (kind == "linear") {
    scaling->kind = RopeScaling::Kind::kLinear;
  } else if (kind == "llama3") {
    scaling->kind = RopeScaling::Kind::kLlama3;
  } else if (kind == "yarn") {
    scaling->kind = RopeScaling::Kind::kYarn;
  } else {
    return UserError(where, ": rope_scaling: rope_type '", kind, "' is not supported; supported are default, linear, llama3, yarn");
  }
  scaling->factor = reader.Number("factor", 0);
  if (!(scaling->factor >= 1)) reader.Fail("factor", "a number of at least 1");
  scaling->original_max_position_embeddings = reader.Integer("original_max_position_embeddings", 0);
  scaling->low_freq_factor = reader.Number("low_freq_factor", scaling->low_freq_factor);
  scaling->high_freq_factor = reader.Number("high_freq_factor", scaling->high_freq_factor);
  scaling->beta_fast = reader.Number("beta_fast", scaling->beta_fast);
  scaling->beta_slow = reader.Number("beta_slow", scaling->beta_slow);
  scaling->attention_factor = reader.Number("attention_factor", 0);
  scaling->mscale = reader.Number("mscale", 0);
  scaling->mscale_all_dim = reader.Number("mscale_all_dim", 0);
  scaling->truncate = reader.Boolean("truncate", true);
  if (scaling->kind == RopeScaling::Kind::kLlama3) {
    if (scaling->original_max_position_embeddings <= 0) reader.Fail("original_max_position_embeddings", "a positive number");
    const bool in_order = 0 < scaling->low_freq_factor && scaling->low_freq_factor < scaling->high_freq_factor;
    if (!in_order) reader.Fail("low_freq_factor", "a positive number below high_freq_factor");
  }
  return reader.status();
}

// What would change the arithmetic and is not built.
Status RefuseUnsupported(JsonReader& reader, const ModelConfig& config, const std::string& where) {
  const std::string activation = reader.String("hidden_act", "silu");
  if (activation != "silu") return UserError(where, ": hidden_act: '", activation, "' is not supported; expected silu");
  if (reader.Boolean("mlp_bias", false)) return UserError(where, ": mlp_bias: true is not supported");
  if (config.model_type != "qwen2" && reader.Boolean("attention_bias", false)) {
    return UserError(where, ": attention_bias: true is not supported for ", config.model_type,
                     " (it would add a bias to o_proj); Qwen2's q, k, v biases are implied by model_type qwen2");
  }
  const bool is_mistral = config.model_type == "mistral";
  const bool is_implied = is_mistral && !reader.Names("sliding_window");
  const int64_t window = reader.Integer("sliding_window", is_implied ? kMistralWindow : kMostPositions);
  if (reader.Boolean("use_sliding_window", is_mistral) && window < config.max_position_embeddings) {
    return UserError(where, ": sliding_window: a window of ", window,
                     is_implied ? ", which a mistral without this key has," : "",
                     " is not supported; train with shorter sequences and set it to null");
  }
  if (reader.Number("partial_rotary_factor", 1) != 1) {
    return UserError(where, ": partial_rotary_factor: heads that are rotated in part are not supported");
  }
  if (reader.Has("quantization_config")) return UserError(where, ": quantization_config: quantised weights are not supported");
  return reader.status();
}

Status CheckConsistent(const ModelConfig& c, const std::string& where) {
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    return UserError(where, ": num_attention_heads (", c.num_attention_heads, ") must be a multiple of num_key_value_heads (",
                     c.num_key_value_heads, ")");
  }
  if (c.head_dim % 2 != 0) return UserError(where, ": head_dim must be even, got ", c.head_dim);
  if (!(c.norm_eps > 0)) return UserError(where, ": rms_norm_eps must be positive");
  if (!(c.rope_theta > 1)) return UserError(where, ": rope_theta must be above 1");
  return absl::OkStatus();
}

}  // namespace

StatusOr<ModelConfig> ModelConfigFromJson(const json& object, const std::string& where) {
  if (!object.is_object()) return UserError(where, ": expected a JSON object");
  JsonReader reader(object, where);
  ModelConfig c;
  c.model_type = reader.String("model_type", "llama");
  if (reader.Has("num_experts") || reader.Has("n_routed_experts") || reader.Has("num_local_experts")) {
    return UserError(where, ": model_type '", c.model_type, "' is a mixture of experts, which is not supported yet");
  }
  if (c.model_type == "gpt2") return Gpt2ConfigFromJson(object, where);
  if (c.model_type != "llama" && c.model_type != "mistral" && c.model_type != "qwen2" && c.model_type != "qwen3") {
    return UserError(where, ": model_type '", c.model_type, "' is not supported; supported are llama, mistral, qwen2, qwen3, gpt2");
  }
  c.vocab_size = reader.RequiredSize("vocab_size", kMostVocabulary);
  c.hidden_size = reader.RequiredSize("hidden_size", kMostWidth);
  c.intermediate_size = reader.RequiredSize("intermediate_size", kMostFfn);
  c.num_hidden_layers = reader.RequiredSize("num_hidden_layers", kMostLayers);
  c.num_attention_heads = reader.RequiredSize("num_attention_heads", kMostHeads);
  WEFT_RETURN_IF_ERROR(reader.status());
  c.num_key_value_heads = reader.Size("num_key_value_heads", c.num_attention_heads, c.num_attention_heads);
  const bool derived = !reader.Has("head_dim") && c.model_type != "qwen3";  // Qwen3's default is 128
  if (derived && c.hidden_size % c.num_attention_heads != 0) {
    reader.Fail("head_dim", "a number, because hidden_size is not a multiple of num_attention_heads");
  }
  c.head_dim = reader.Size("head_dim", derived ? c.hidden_size / c.num_attention_heads : 128, kMostHeadDim);
  c.max_position_embeddings = reader.Size("max_position_embeddings", 2048, kMostPositions);
  c.norm_eps = reader.Number("rms_norm_eps", 1e-6);
  c.initializer_range = reader.Number("initializer_range", 0.02);
  c.tie_word_embeddings = reader.Boolean("tie_word_embeddings", false);
  c.qkv_bias = c.model_type == "qwen2";
  c.qk_norm = c.model_type == "qwen3";
  c.bos_token_id = reader.Integer("bos_token_id", -1);
  c.eos_token_ids = reader.TokenIds("eos_token_id", c.vocab_size);
  c.rope_theta = reader.Number("rope_theta", 10000);
  WEFT_RETURN_IF_ERROR(reader.status());
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!reader.Has(key)) continue;
    if (!reader.At(key).is_object()) return UserError(where, ": ", key, ": expected an object");
    WEFT_RETURN_IF_ERROR(ReadRopeScaling(reader.At(key), where, &c.rope_scaling));
    JsonReader inner(reader.At(key), where);
    c.rope_theta = inner.Number("rope_theta", c.rope_theta);
    WEFT_RETURN_IF_ERROR(inner.status());
  }
  WEFT_RETURN_IF_ERROR(RefuseUnsupported(reader, c, where));
  WEFT_RETURN_IF_ERROR(CheckConsistent(c, where));
  return c;
}

namespace {

StatusOr<json> ReadJson(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) return DataError(path, ": not valid JSON");
  return object;
}

// Chat models name their end of turn here and not always in config.json.
Status TakeGenerationEos(const std::string& path, ModelConfig* config) {
  const StatusOr<json> object = ReadJson(path);
  if (absl::IsNotFound(object.status())) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(object.status());
  if (!object->is_object()) return DataError(path, ": expected a JSON object");
  JsonReader reader(*object, path);
  const std::vector<int64_t> ids = reader.TokenIds("eos_token_id", config->vocab_size);
  if (!ids.empty()) config->eos_token_ids = ids;
  return reader.status();
}

}  // namespace

bool IsModel(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return true;
  const StatusOr<json> object = ReadJson(path);
  return object.ok() && object->is_object() && object->contains("model_type");
}

StatusOr<ModelConfig> ReadModelConfig(const std::string& path) {
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(path, ignored);
  const std::string file = is_file ? path : path + "/config.json";
  WEFT_ASSIGN_OR_RETURN(const json object, ReadJson(file));
  WEFT_ASSIGN_OR_RETURN(ModelConfig config, ModelConfigFromJson(object, file));
  if (!is_file) WEFT_RETURN_IF_ERROR(TakeGenerationEos(path + "/generation_config.json", &config));
  return config;
}

nlohmann::ordered_json ModelConfigToJson(const ModelConfig& c) {
  static const std::pair<const char*, const char*> kArchitectures[] = {{"llama", "LlamaForCausalLM"},
                                                                       {"mistral", "MistralForCausalLM"},
                                                                       {"qwen2", "Qwen2ForCausalLM"},
                                                                       {"qwen3", "Qwen3ForCausalLM"}};
  if (c.model_type == "gpt2") return Gpt2ConfigToJson(c);
  nlohmann::ordered_json out;
  for (const auto& [type, architecture] : kArchitectures) {
    if (c.model_type == type) out["architectures"] = {architecture};
  }
  out["model_type"] = c.model_type;
  out["vocab_size"] = c.vocab_size;
  out["hidden_size"] = c.hidden_size;
  out["intermediate_size"] = c.intermediate_size;
  out["num_hidden_layers"] = c.num_hidden_layers;
  out["num_attention_heads"] = c.num_attention_heads;
  out["num_key_value_heads"] = c.num_key_value_heads;
  out["head_dim"] = c.head_dim;
  out["max_position_embeddings"] = c.max_position_embeddings;
  out["rms_norm_eps"] = c.norm_eps;
  out["hidden_act"] = "silu";
  out["attention_bias"] = c.qkv_bias;
  out["mlp_bias"] = false;
  out["initializer_range"] = c.initializer_range;
  out["tie_word_embeddings"] = c.tie_word_embeddings;
  if (c.model_type == "mistral") out["sliding_window"] = nullptr;  // absent, it would be 4096 to transformers
  out["rope_theta"] = c.rope_theta;
  out["rope_scaling"] = nullptr;
  if (c.rope_scaling.kind != RopeScaling::Kind::kNone) {
    const RopeScaling& s = c.rope_scaling;
    nlohmann::ordered_json scaling;
    scaling["rope_type"] = s.kind == RopeScaling::Kind::kLinear ? "linear" : s.kind == RopeScaling::Kind::kLlama3 ? "llama3" : "yarn";
    scaling["factor"] = s.factor;
    if (s.original_max_position_embeddings > 0) scaling["original_max_position_embeddings"] = s.original_max_position_embeddings;
    if (s.kind == RopeScaling::Kind::kLlama3) {
      scaling["low_freq_factor"] = s.low_freq_factor;
      scaling["high_freq_factor"] = s.high_freq_factor;
    }
    if (s.kind == RopeScaling::Kind::kYarn) {
      scaling["beta_fast"] = s.beta_fast;
      scaling["beta_slow"] = s.beta_slow;
      scaling["truncate"] = s.truncate;
      if (s.attention_factor > 0) scaling["attention_factor"] = s.attention_factor;
      if (s.mscale > 0) scaling["mscale"] = s.mscale;
      if (s.mscale_all_dim > 0) scaling["mscale_all_dim"] = s.mscale_all_dim;
    }
    out["rope_scaling"] = scaling;
  }
  if (c.bos_token_id >= 0) out["bos_token_id"] = c.bos_token_id;
  if (c.eos_token_ids.size() == 1) out["eos_token_id"] = c.eos_token_ids[0];
  if (c.eos_token_ids.size() > 1) out["eos_token_id"] = c.eos_token_ids;
  return out;
}

int64_t NumParameters(const ModelConfig& c) {
  const int64_t norm = (c.norm == NormKind::kLayer ? 2 : 1) * c.hidden_size;
  int64_t block = 2 * norm + c.qkv_dim() * c.hidden_size + c.hidden_size * c.q_dim() +
                  (c.up_dim() + c.intermediate_size) * c.hidden_size;
  if (c.qkv_bias) block += c.qkv_dim();
  if (c.output_bias) block += c.hidden_size;
  if (c.mlp_bias) block += c.up_dim() + c.hidden_size;
  if (c.qk_norm) block += 2 * c.head_dim;
  int64_t embeddings = c.vocab_size * c.hidden_size * (c.tie_word_embeddings ? 1 : 2);
  if (c.positions == PositionKind::kLearned) embeddings += c.max_position_embeddings * c.hidden_size;
  return embeddings + c.num_hidden_layers * block + norm;
}

}  // namespace weft
