// `weft data tokenizer`: learns a byte-level BPE from text files, folders and JSON Lines whose records have a member
// `text` (data/documents.h), and writes it as Hugging Face's tokenizer.json.
//
// Text is cut into pieces by the pattern of Llama 3 (words with one sign before them, up to three digits, signs, spaces)
// without any normalisation, so every text comes back byte for byte. The same inputs give the same file. Memory: the
// distinct pieces, and a batch of documents.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"

namespace weft {

struct TokenizerTrainingOptions {
  std::vector<std::string> inputs;
  std::string to;           // the folder to write
  int64_t vocab_size = 0;   // tokens in all: 256 bytes, the merges, 16 control tokens
  int num_threads = 0;      // 0: the cores of this process
};

// Writes tokenizer.json and tokenizer_config.json into options.to. Fails where the inputs do not hold enough text for
// that many tokens, saying how many they hold.
Status TrainTokenizer(const TokenizerTrainingOptions& options);

}  // namespace weft
