// One role after the other, in one file after the other.
#include "data/token_roles.h"

#include <optional>

#include "core/file.h"
#include "data/json_view.h"

namespace weft {
namespace {

using OrderedJson = nlohmann::ordered_json;

// The member `key` of the object in `file`; null where there is none.
StatusOr<nlohmann::json> ReadMember(const std::filesystem::path& file, const std::string& key) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return nlohmann::json();
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(file.string()));
  WEFT_ASSIGN_OR_RETURN(const nlohmann::json object, ParseJson(text, file.string()));
  return object.is_object() ? object.value(key, nlohmann::json()) : nlohmann::json();
}

// "<s>" or {"content": "<s>", ...}, where the tokenizer has it.
std::optional<std::string> TokenNamed(nlohmann::json name, const Tokenizer& tokenizer) {
  if (name.is_object()) name = name.value("content", nlohmann::json());
  if (!name.is_string() || !tokenizer.IdOf(name.get<std::string>()).has_value()) return std::nullopt;
  return name.get<std::string>();
}

// 2 or [2, 5], where the tokenizer has it.
std::optional<std::string> TokenOfId(nlohmann::json id, const Tokenizer& tokenizer) {
  if (id.is_array()) id = id.empty() ? nlohmann::json() : nlohmann::json(id.front());
  if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(tokenizer.vocab_size())) return std::nullopt;
  return tokenizer.TokenOf(id.get<int32_t>());
}

// `key` is bos_token or eos_token.
StatusOr<std::optional<std::string>> FindRole(const std::filesystem::path& folder, const std::string& key,
                                              const Tokenizer& tokenizer) {
  WEFT_ASSIGN_OR_RETURN(const nlohmann::json name, ReadMember(folder / "special_tokens_map.json", key));
  std::optional<std::string> token = TokenNamed(name, tokenizer);
  for (const char* file : {"generation_config.json", "config.json"}) {
    if (token.has_value()) break;
    WEFT_ASSIGN_OR_RETURN(const nlohmann::json id, ReadMember(folder / file, key + "_id"));
    token = TokenOfId(id, tokenizer);
  }
  return token;
}

}  // namespace

StatusOr<std::string> WithTokenRoles(std::string config_json, const std::filesystem::path& folder, const Tokenizer& tokenizer) {
  OrderedJson config = config_json.empty() ? OrderedJson::object() : OrderedJson::parse(config_json);
  bool is_changed = false;
  for (const std::string key : {"bos_token", "eos_token"}) {
    if (config.contains(key)) continue;
    WEFT_ASSIGN_OR_RETURN(const std::optional<std::string> token, FindRole(folder, key, tokenizer));
    if (token.has_value()) config[key] = *token;
    is_changed = is_changed || token.has_value();
  }
  return is_changed ? config.dump(2) + "\n" : std::move(config_json);
}

}  // namespace weft
