// Model configs from runs (see model_setup.h).
#include "trainer/model_setup.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/cuda_device.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/chat_tokens.h"
#include "data/tokenizer.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

nlohmann::json RopeScalingJson(const RopeScalingSection& s) {
  static const char* const kTypes[] = {"default", "linear", "llama3", "yarn"};
  nlohmann::json json;
  json["rope_type"] = kTypes[static_cast<size_t>(s.rope_type)];
  const auto put = [&json](const char* key, const auto& value) {
    if (value.has_value()) json[key] = *value;
  };
  put("factor", s.factor);
  put("original_max_position_embeddings", s.original_max_position_embeddings);
  put("low_freq_factor", s.low_freq_factor);
  put("high_freq_factor", s.high_freq_factor);
  put("attention_factor", s.attention_factor);
  put("beta_fast", s.beta_fast);
  put("beta_slow", s.beta_slow);
  put("mscale", s.mscale);
  put("mscale_all_dim", s.mscale_all_dim);
  put("truncate", s.truncate);
  return json;
}

// The section of a GPT-2 by the keys of its config.json.
nlohmann::json Gpt2Json(const ModelSection& m) {
  nlohmann::json json = {{"model_type", "gpt2"},
                         {"vocab_size", m.vocab_size},
                         {"n_embd", m.hidden_size},
                         {"n_inner", m.intermediate_size},
                         {"n_layer", m.num_hidden_layers},
                         {"n_head", m.num_attention_heads},
                         {"n_positions", m.max_position_embeddings},
                         {"initializer_range", m.initializer_range}};
  if (m.layer_norm_epsilon.has_value()) json["layer_norm_epsilon"] = *m.layer_norm_epsilon;
  if (m.tie_word_embeddings.has_value()) json["tie_word_embeddings"] = *m.tie_word_embeddings;
  if (m.activation_function.has_value()) json["activation_function"] = *m.activation_function;
  return json;
}

// The section as Hugging Face's config.json, so that one reader judges both. Without the sliding window, which the section
// has been checked not to need.
nlohmann::json SectionJson(const ModelSection& m) {
  static const char* const kTypes[] = {"llama", "qwen2", "qwen3", "mistral"};
  if (m.model_type == ModelType::kGpt2) return Gpt2Json(m);
  nlohmann::json json;
  json["model_type"] = kTypes[static_cast<size_t>(m.model_type)];
  json["vocab_size"] = m.vocab_size;
  json["hidden_size"] = m.hidden_size;
  json["intermediate_size"] = m.intermediate_size;
  json["num_hidden_layers"] = m.num_hidden_layers;
  json["num_attention_heads"] = m.num_attention_heads;
  if (m.num_key_value_heads.has_value()) json["num_key_value_heads"] = *m.num_key_value_heads;
  if (m.head_dim.has_value()) json["head_dim"] = *m.head_dim;
  if (m.rms_norm_eps.has_value()) json["rms_norm_eps"] = *m.rms_norm_eps;
  json["rope_theta"] = m.rope_theta;
  if (m.rope_scaling.has_value()) json["rope_scaling"] = RopeScalingJson(*m.rope_scaling);
  json["max_position_embeddings"] = m.max_position_embeddings;
  json["sliding_window"] = nullptr;  // one that would count has been refused (model_section.cc)
  json["initializer_range"] = m.initializer_range;
  if (m.tie_word_embeddings.has_value()) json["tie_word_embeddings"] = *m.tie_word_embeddings;
  if (m.attention_bias.has_value()) json["attention_bias"] = *m.attention_bias;
  return json;
}

// A model trained on ids of one tokenizer is noise under another.
Status CheckSameTokenizer(const RunConfig& config, const TokenStore& store) {
  const StatusOr<std::unique_ptr<Tokenizer>> theirs = Tokenizer::Load(config.model.path);
  if (absl::IsNotFound(theirs.status())) {
    LogInfo("model.path: ", config.model.path, " holds no tokenizer, so whether ", store.path(),
            " was tokenised with the model's own is not known");
    return absl::OkStatus();
  }
  WEFT_RETURN_IF_ERROR(theirs.status());
  if ((*theirs)->json() == store.tokenizer_json()) return absl::OkStatus();
  return UserError(store.path(), " was tokenised with another tokenizer than that of ", config.model.path,
                   "; prepare it again: weft data prepare INPUT... --tokenizer ", config.model.path, " --to ", store.path());
}

std::string Join(const std::vector<int64_t>& ids) {
  std::string text;
  for (const int64_t id : ids) StrAppend(&text, text.empty() ? "" : ", ", id);
  return text;
}

// The tokenizer says where documents begin and end, and its chat template what ends an assistant's turn, for whoever
// samples from the model. The ids of a model's own config.json stay where they agree: transformers writes 50256 into every
// GPT-2's, whatever its vocabulary, and a model that was trained to end with another token would never stop.
void TakeTokenIds(const TokenStore& store, ModelConfig* model) {
  const StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::Parse(store.tokenizer_json(), store.tokenizer_config_json(), store.path());
  if (!tokenizer.ok()) return;  // a store with a tokenizer that cannot be read is refused where it is used
  const std::optional<int32_t> tokenizer_bos = (*tokenizer)->bos_id(), tokenizer_eos = (*tokenizer)->eos_id();
  const int64_t bos_given = model->bos_token_id;
  if (tokenizer_bos.has_value()) model->bos_token_id = *tokenizer_bos;
  if (model->bos_token_id >= model->vocab_size) model->bos_token_id = -1;
  if (bos_given >= 0 && bos_given != model->bos_token_id) {
    LogInfo("bos_token_id: the model's ", bos_given, " gives way to ",
            model->bos_token_id < 0 ? "none" : StrCat(model->bos_token_id), " of the tokenizer in ", store.path());
  }
  std::vector<int64_t>& eos = model->eos_token_ids;
  const std::vector<int64_t> eos_given = eos;
  if (tokenizer_eos.has_value() && std::count(eos.begin(), eos.end(), *tokenizer_eos) == 0) eos = {*tokenizer_eos};
  if (eos != eos_given && !eos_given.empty()) {
    LogInfo("eos_token_id: the model's ", Join(eos_given), " gives way to ", eos.empty() ? "none" : Join(eos),
            " of the tokenizer in ", store.path());
  }
  const StatusOr<ChatTemplate> chat_template = ChatTemplate::OfModel("", store.tokenizer_config_json());
  if (!chat_template.ok()) return;
  const std::optional<int32_t> end_of_turn = EndOfTurn(**tokenizer, *chat_template);
  if (end_of_turn.has_value() && std::count(eos.begin(), eos.end(), *end_of_turn) == 0) eos.push_back(*end_of_turn);
}

double MemoryBytes(Device device) {
  if (device.is_cuda()) return static_cast<double>(cuda::TotalBytes(device.index));
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

StatusOr<ModelConfig> ReadModel(const RunConfig& config) {
  if (!config.model.path.empty()) return ReadModelConfig(config.model.path);
  return ModelConfigFromJson(SectionJson(config.model), "model");
}

StatusOr<ModelConfig> ResolveModel(const RunConfig& config, const TokenStore& store) {
  WEFT_ASSIGN_OR_RETURN(ModelConfig model, ReadModel(config));
  if (!config.model.path.empty()) WEFT_RETURN_IF_ERROR(CheckSameTokenizer(config, store));
  TakeTokenIds(store, &model);
  if (store.vocab_size() > model.vocab_size) {
    return UserError("model.vocab_size is ", model.vocab_size, ", but ", store.path(), " holds token ids up to ",
                     store.vocab_size() - 1, "; it must be at least ", store.vocab_size());
  }
  if (config.data.sequence_length > model.max_position_embeddings) {
    return UserError("data.sequence_length is ", config.data.sequence_length, ", beyond the model's max_position_embeddings of ",
                     model.max_position_embeddings);
  }
  return model;
}

StatusOr<std::string> ReadGenerationConfig(const RunConfig& config) {
  const std::filesystem::path file = std::filesystem::path(config.model.path) / "generation_config.json";
  std::error_code ignored;
  if (config.model.path.empty() || !std::filesystem::exists(file, ignored)) return "";
  return ReadFile(file.string());
}

ParamLayoutOptions LayoutOptionsOf(const RunConfig& config) {
  return {.compute_dtype = config.precision == Precision::kBf16 ? DType::kBF16 : DType::kF32,
          .zero_stage = static_cast<int>(config.zero_optimization.stage),
          .offload_optimizer = config.zero_optimization.offload_optimizer.device == OffloadDevice::kCpu};
}

Status CheckFitsMemory(const RunConfig& config, const ModelConfig& model, const RankMemory& memory, int64_t block_stashes,
                       Device device, int ranks_on_host) {
  auto device_bytes = static_cast<double>(memory.device_bytes()), host_bytes = static_cast<double>(memory.host_bytes());
  const double tokens = static_cast<double>(*config.train_micro_batch_size_per_gpu) *
                        static_cast<double>(config.data.sequence_length) / static_cast<double>(config.parallel.tp);
  const double inputs_bytes = tokens * static_cast<double>(model.hidden_size * block_stashes) *
                              static_cast<double>(DTypeSize(LayoutOptionsOf(config).compute_dtype));
  if (!device.is_cuda()) device_bytes += std::exchange(host_bytes, 0);
  const std::string saves = memory.snapshot == 0 ? "" : StrCat("; ", HumanBytes(static_cast<double>(memory.snapshot)),
                                                               " of it are not needed with checkpoint.asynchronous: false");
  const auto check = [&](double bytes, const std::string& what, Device where) -> Status {
    const int num_ranks = where.is_cuda() ? 1 : ranks_on_host;
    if (bytes * num_ranks <= MemoryBytes(where)) return absl::OkStatus();
    return UserError("model: training its ", NumParameters(model), " parameters takes at least ", HumanBytes(bytes), " a rank (", what,
                     "), and ", where.ToString(), " has ", HumanBytes(MemoryBytes(where)),
                     num_ranks == 1 ? "" : StrCat(" for ", num_ranks, " ranks"),
                     "; share it over more ranks (parallel.tp, parallel.pp, zero_optimization.stage), or take a smaller model, "
                     "train_micro_batch_size_per_gpu or data.sequence_length", where.is_cuda() ? "" : saves);
  };
  WEFT_RETURN_IF_ERROR(check(device_bytes + inputs_bytes,
                             StrCat(HumanBytes(device_bytes), " of weights and their state, ", HumanBytes(inputs_bytes),
                                    " for the inputs of blocks"), device));
  return check(host_bytes, "in host memory", Device::Cpu());
}

}  // namespace weft
