// Metaspace: SentencePiece's visible space. Spaces are written as one sign (▁, U+2581), and one more goes in front of a
// text, so that its first word is the same token as elsewhere; both pre-tokenizers and decoders of tokenizer.json read
// these options.
#pragma once

#include <string>

#include "core/status.h"
#include "data/json_view.h"

namespace weft {

struct Metaspace {
  enum class Scheme { kNever, kFirst, kAlways };  // in front of nothing, of the text, of every piece
  std::string replacement;                        // one code point, UTF-8
  Scheme scheme = Scheme::kAlways;

  static StatusOr<Metaspace> Parse(const JsonView& json);
};

}  // namespace weft
