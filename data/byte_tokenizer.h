// The byte-level tokenizer that needs no download, as the text of a Hugging Face tokenizer.json.
//
// Ids 0..255 are the bytes. 256 <|begin_of_text|> begins every document, 257 <|endoftext|> ends it, 258 <|pad|> fills
// up, and 259..271 <|reserved_N|> make the vocabulary a multiple of 16, which FP8 matrix products ask for.
#pragma once

#include <string>

namespace weft {

std::string ByteTokenizerJson();        // tokenizer.json
std::string ByteTokenizerConfigJson();  // tokenizer_config.json

}  // namespace weft
