// Regex: a compiled PCRE2 pattern over UTF-8 with Unicode properties, as the pre-tokenizers of tokenizer.json need
// (\p{L}, look-ahead; std::regex has neither).
//
// Those patterns are written for Oniguruma, so \s and \w mean what they mean there: the property White_Space, and
// Alphabetic, marks, decimal digits, connectors and Latin-1's six other numbers. (PCRE2's \s has U+180E, its \w has no
// marks.)
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace weft {

class Regex {
 public:
  struct Match {
    size_t begin, end;
  };

  static StatusOr<Regex> Compile(const std::string& pattern);

  // All matches from left to right, empty ones left out, in place of what `matches` held. `text` is UTF-8. Thread-safe.
  // A match that PCRE2 gives up on (its limits are for patterns that explode) ends the search, with a warning.
  void FindAll(std::string_view text, std::vector<Match>* matches) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace weft
