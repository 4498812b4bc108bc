// Regex: a compiled PCRE2 pattern over UTF-8 with Unicode properties, as the pre-tokenizers of tokenizer.json need
// (\p{L}, look-ahead; std::regex has neither).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace weft {

class Regex {
 public:
  static StatusOr<Regex> Compile(const std::string& pattern);

  // All matches from left to right as [begin, end), empty ones left out. `text` is UTF-8. Thread-safe. A match that
  // PCRE2 gives up on (its limits are for patterns that explode) ends the search, with a warning.
  std::vector<std::pair<size_t, size_t>> FindAll(std::string_view text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace weft
