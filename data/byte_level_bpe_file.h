// Writes the tokenizer.json of a byte-level BPE, as Hugging Face's `tokenizers` reads it, with weft's own control tokens.
//
// Ids: the tokens as given (the 256 bytes first), then sixteen control tokens: <|begin_of_text|> begins every document,
// <|endoftext|> ends it, <|pad|> fills up, and <|reserved_N|> are there to be given a meaning.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace weft {

inline constexpr int kNumControlTokens = 16;

struct ByteLevelBpe {
  std::vector<std::string> tokens;             // by id, their bytes
  std::vector<std::pair<int, int>> merges;     // ids, by rank
  std::string pattern;                         // the regular expression whose matches are pieces; empty: no cuts
};

std::string TokenizerJson(const ByteLevelBpe& bpe);  // tokenizer.json
std::string TokenizerConfigJson();                   // tokenizer_config.json

}  // namespace weft
