// A tokenizer.model in the place of a tokenizer.json: what SentencePiece's file says about added tokens, the frame and
// decoding, written as the stages of a tokenizer.json, with the file itself as its model:
//   "model": {"type": "SentencePiece", "base64": "..."}, with "legacy": false where tokenizer_config.json has that
// That text is weft's own; token stores and checkpoints carry it, and an exported folder has the tokenizer.model again.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/status.h"
#include "data/json_view.h"
#include "data/sentencepiece_model.h"

namespace weft {

struct TokenizerTexts {
  std::string json;         // as of a tokenizer.json
  std::string config_json;  // of tokenizer_config.json
};

// `model_bytes` is the tokenizer.model. `config_json` is the tokenizer_config.json beside it (add_bos_token,
// add_eos_token, added_tokens_decoder and legacy are read), or empty: then one is made that names the model's own bos, eos and
// pad. `name` stands in error messages.
StatusOr<TokenizerTexts> ReadSentencePieceFile(std::string_view model_bytes, std::string config_json,
                                               std::string_view name);

inline constexpr char kSentencePieceType[] = "SentencePiece";

// `json` is such a file's "model".
StatusOr<std::unique_ptr<SentencePieceModel>> ParseSentencePieceModel(const JsonView& json);
// The bytes of the tokenizer.model in it.
StatusOr<std::string> SentencePieceBytes(const JsonView& json);

}  // namespace weft
