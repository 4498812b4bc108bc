// Pre-tokenizers of tokenizer.json: they cut text into the pieces that the model then splits one by one. Kinds:
// Sequence, ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit; others
// are refused by name.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "data/json_view.h"

namespace weft {

// A text (UTF-8) and the parts of it that are pieces, in order: a cut moves ends and copies no text.
struct Pieces {
  struct Span {
    size_t begin, end;
  };
  std::string text;
  std::vector<Span> spans;
  bool begins_text = false;  // the first piece is the beginning of what is encoded

  Pieces(std::string whole, bool begins) : text(std::move(whole)), begins_text(begins) {
    if (!text.empty()) spans.push_back({0, text.size()});
  }
  std::string_view operator[](size_t i) const {
    return std::string_view(text).substr(spans[i].begin, spans[i].end - spans[i].begin);
  }
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Cuts every piece further; ByteLevel and Metaspace also rewrite the text. Thread-safe.
  virtual void Cut(Pieces* pieces) const = 0;
};

// Of `json` null: a pre-tokenizer that leaves pieces as they are.
StatusOr<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonView& json);

}  // namespace weft
