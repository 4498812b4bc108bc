// Pre-tokenizers of tokenizer.json: they cut text into the pieces that the model then splits one by one. Kinds:
// Sequence, ByteLevel, Split; others are refused by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "data/json_view.h"

namespace weft {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Cuts every piece further; ByteLevel also rewrites them in the byte alphabet. Thread-safe.
  virtual std::vector<std::string> Cut(std::vector<std::string> pieces) const = 0;
};

// Of `json` null: a pre-tokenizer that leaves pieces as they are.
StatusOr<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonView& json);

}  // namespace weft
