// Which tokens begin and end documents, where a tokenizer_config.json leaves that to the model's other files: published GPT-2
// folders name neither there.
#pragma once

#include <filesystem>
#include <string>

#include "core/status.h"
#include "data/tokenizer.h"

namespace weft {

// `config_json`, the text of a tokenizer_config.json or empty, with bos_token and eos_token added where it lacks the key
// (null says that there is none) and `folder` names a token of `tokenizer`: in special_tokens_map.json, else by bos_token_id
// and eos_token_id of generation_config.json or config.json, of a list its first.
StatusOr<std::string> WithTokenRoles(std::string config_json, const std::filesystem::path& folder, const Tokenizer& tokenizer);

}  // namespace weft
