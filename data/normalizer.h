// Normalizers of tokenizer.json: text to text before anything is split. Kinds: Sequence, Prepend, Replace, Strip,
// StripAccents, Lowercase, ByteLevel, NFC, NFD, NFKC, NFKD; others are refused by name.
#pragma once

#include <memory>
#include <string>

#include "core/status.h"
#include "data/json_view.h"

namespace weft {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::string Normalize(std::string text) const = 0;  // UTF-8 to UTF-8; thread-safe
};

// Of `json` null: a normalizer that changes nothing.
StatusOr<std::unique_ptr<Normalizer>> ParseNormalizer(const JsonView& json);

}  // namespace weft
