// JSON of an export (see model_folder_texts.h). Keys after transformers 4 (torch_dtype); version 5 reads them too.
#include "checkpoint/model_folder_texts.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

// A text of the checkpoint as an object; empty for an empty text.
StatusOr<Json> ParseObject(const std::string& text, const char* what) {
  if (text.empty()) return Json::object();
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return DataError("the checkpoint's ", what, " is not a JSON object");
  return value;
}

// The text of a special token: "<s>" or {"content": "<s>", ...}.
std::string TokenText(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object() && token.contains("content") && token["content"].is_string()) return token["content"].get<std::string>();
  return "";
}

// The id of `text` among the tokenizer's added tokens; null if it is not there.
Json AddedTokenId(const Json& tokenizer, const std::string& text) {
  const auto added = tokenizer.find("added_tokens");
  if (text.empty() || added == tokenizer.end() || !added->is_array()) return nullptr;
  for (const Json& token : *added) {
    if (token.is_object() && token.contains("id") && TokenText(token) == text) return token["id"];
  }
  return nullptr;
}

std::string Pretty(const Json& value) { return value.dump(2) + "\n"; }

// The special ids of what was trained, and what the model that training began with says of sampling.
Json GenerationConfig(const Json& config, const Json& tokenizer, const Json& tokenizer_config, const Json& begun_with) {
  Json generation = Json::object();
  for (const std::string kind : {"bos", "eos", "pad"}) {
    Json id = config.value(kind + "_token_id", Json());
    if (id.is_null()) id = AddedTokenId(tokenizer, TokenText(tokenizer_config.value(kind + "_token", Json())));
    if (!id.is_null()) generation[kind + "_token_id"] = id;
  }
  for (const auto& [key, value] : begun_with.items()) {
    const bool is_ours = key == "bos_token_id" || key == "eos_token_id" || key == "pad_token_id";
    if (!is_ours && key != "_from_model_config") generation[key] = value;
  }
  return generation;
}

// The tokenizer's file. A tokenizer.model of SentencePiece travels inside a JSON object of weft's own
// (data/sentencepiece_file.h), which nobody else reads: it becomes the file that it was.
Status AddTokenizerFile(const Json& tokenizer, const std::string& text, ModelFolderTexts* texts) {
  const auto model = tokenizer.find("model");
  const bool is_object = model != tokenizer.end() && model->is_object();
  if (!is_object || model->value("type", Json()) != "SentencePiece") {
    (*texts)[kTokenizerFile] = text;
    return absl::OkStatus();
  }
  const Json base64 = model->value("base64", Json());
  std::string& bytes = (*texts)[kTokenizerModelFile];
  if (!base64.is_string() || !absl::Base64Unescape(base64.get<std::string>(), &bytes)) {
    return DataError("the checkpoint's tokenizer is damaged: model.base64 is not base64");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<ModelFolderTexts> MakeModelFolderTexts(const CheckpointInfo& info, DType dtype) {
  if (info.model_config_json.empty()) return DataError("the checkpoint has no model configuration to export");
  WEFT_ASSIGN_OR_RETURN(Json config, ParseObject(info.model_config_json, kConfigFile));
  WEFT_ASSIGN_OR_RETURN(const Json tokenizer, ParseObject(info.tokenizer_json, kTokenizerFile));
  WEFT_ASSIGN_OR_RETURN(const Json tokenizer_config, ParseObject(info.tokenizer_config_json, kTokenizerConfigFile));
  WEFT_ASSIGN_OR_RETURN(const Json begun_with, ParseObject(info.generation_config_json, kGenerationConfigFile));
  config["torch_dtype"] = dtype == DType::kBF16 ? "bfloat16" : "float32";
  if (config.contains("dtype")) config["dtype"] = config["torch_dtype"];  // as transformers 5 calls it
  ModelFolderTexts texts;
  texts[kConfigFile] = Pretty(config);
  texts[kGenerationConfigFile] = Pretty(GenerationConfig(config, tokenizer, tokenizer_config, begun_with));
  if (!info.tokenizer_json.empty()) WEFT_RETURN_IF_ERROR(AddTokenizerFile(tokenizer, info.tokenizer_json, &texts));
  if (!info.tokenizer_config_json.empty()) texts[kTokenizerConfigFile] = info.tokenizer_config_json;
  if (!info.table_yaml.empty()) texts[kTableFile] = info.table_yaml;
  return texts;
}

std::string ShardTableText(const std::map<std::string, std::string>& weight_map, int64_t total_bytes) {
  Json table;
  table["metadata"]["total_size"] = total_bytes;
  table["weight_map"] = weight_map;
  return Pretty(table);
}

}  // namespace weft
