// The stages as Hugging Face writes them for models of this kind.
#include "data/sentencepiece_file.h"

#include <charconv>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

// The control tokens of the model, then those of tokenizer_config.json's added_tokens_decoder, {"32000": {"content":
// "<|im_end|>", "special": true, ...}}, whose flags count where both have one.
StatusOr<Json> AddedTokensJson(const SentencePieceModel& model, const JsonView& config) {
  std::map<int32_t, Json> by_id;
  for (int32_t id = 0; id < model.num_pieces(); ++id) {
    if (!model.IsControl(id)) continue;
    by_id[id] = {{"id", id}, {"content", model.PieceOf(id)}, {"single_word", false}, {"lstrip", false},
                 {"rstrip", false}, {"normalized", false}, {"special", true}};
  }
  WEFT_ASSIGN_OR_RETURN(const JsonView decoder, config.Get("added_tokens_decoder"));
  if (!decoder.is_null()) {
    if (!decoder.value().is_object()) return decoder.Expected("an object of ids and tokens");
    for (const auto& [key, value] : decoder.value().items()) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0) {
        return decoder.Error("'", key, "' is not an id");
      }
      if (!value.is_object()) return JsonView(value, StrCat(decoder.path(), ".", key)).Expected("an object");
      by_id[id] = Json(value);
      by_id[id]["id"] = id;
    }
  }
  Json list = Json::array();
  for (auto& [id, token] : by_id) list.push_back(std::move(token));
  return list;
}

Json SpecialTokenPiece(const std::string& token) { return {{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; }

StatusOr<Json> PostProcessorJson(const SentencePieceModel& model, const JsonView& config) {
  WEFT_ASSIGN_OR_RETURN(const bool add_bos, config.BoolOr("add_bos_token", true));
  WEFT_ASSIGN_OR_RETURN(const bool add_eos, config.BoolOr("add_eos_token", false));
  Json single = Json::array();
  Json special_tokens = Json::object();
  const auto add = [&](int32_t id) {
    const std::string token = model.PieceOf(id);
    single.push_back(SpecialTokenPiece(token));
    special_tokens[token] = {{"id", token}, {"ids", Json::array({id})}, {"tokens", Json::array({token})}};
  };
  if (add_bos && model.bos_id() >= 0) add(model.bos_id());
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (add_eos && model.eos_id() >= 0) add(model.eos_id());
  return Json{{"type", "TemplateProcessing"}, {"single", single}, {"pair", single}, {"special_tokens", special_tokens}};
}

Json DecoderJson(const SentencePieceModel& model) {
  Json steps = Json::array({{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
                            {{"type", "ByteFallback"}},
                            {{"type", "Fuse"}}});
  if (model.adds_space_in_front()) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", steps}};
}

std::string ConfigJson(const SentencePieceModel& model) {
  Json config = {{"add_bos_token", true}, {"add_eos_token", false}};
  const std::pair<const char*, int32_t> roles[] = {
      {"bos_token", model.bos_id()}, {"eos_token", model.eos_id()}, {"pad_token", model.pad_id()}};
  for (const auto& [role, id] : roles) {
    if (id >= 0) config[role] = model.PieceOf(id);
  }
  return config.dump(2) + "\n";
}

StatusOr<std::unique_ptr<SentencePieceModel>> ParseModel(std::string_view bytes, bool legacy, std::string_view name) {
  std::string error;
  std::unique_ptr<SentencePieceModel> model = SentencePieceModel::Parse(bytes, legacy, &error);
  if (model == nullptr) return UserError(name, ": not a model that SentencePiece can load: ", error);
  return model;
}

}  // namespace

StatusOr<TokenizerTexts> ReadSentencePieceFile(std::string_view model_bytes, std::string config_json,
                                               std::string_view name) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<SentencePieceModel> model, ParseModel(model_bytes, /*legacy=*/true, name));
  if (config_json.empty()) config_json = ConfigJson(*model);
  const std::string config_name = StrCat("the tokenizer_config.json beside ", name);
  WEFT_ASSIGN_OR_RETURN(const nlohmann::json config_value, ParseJson(config_json, config_name));
  const JsonView config(config_value, StrCat(config_name, ":"));
  WEFT_ASSIGN_OR_RETURN(const Json added_tokens, AddedTokensJson(*model, config));
  WEFT_ASSIGN_OR_RETURN(const Json post_processor, PostProcessorJson(*model, config));
  WEFT_ASSIGN_OR_RETURN(const bool legacy, config.BoolOr("legacy", true));
  Json model_json = {{"type", kSentencePieceType}, {"base64", absl::Base64Escape(ToAbsl(model_bytes))}};
  if (!legacy) model_json["legacy"] = false;
  const Json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added_tokens},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", nullptr},
                     {"post_processor", post_processor},
                     {"decoder", DecoderJson(*model)},
                     {"model", model_json}};
  return TokenizerTexts{file.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", std::move(config_json)};
}

StatusOr<std::string> SentencePieceBytes(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const std::string base64, json.String("base64"));
  std::string bytes;
  if (!absl::Base64Unescape(base64, &bytes)) return json.Error("base64 is damaged");
  return bytes;
}

StatusOr<std::unique_ptr<SentencePieceModel>> ParseSentencePieceModel(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const std::string bytes, SentencePieceBytes(json));
  WEFT_ASSIGN_OR_RETURN(const bool legacy, json.BoolOr("legacy", true));
  return ParseModel(bytes, legacy, json.path());
}

}  // namespace weft
