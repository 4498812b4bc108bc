// TextReplacement: all occurrences of a string or of a regular expression replaced by a fixed text; the kind `Replace`
// of both normalizers and decoders: {"pattern": {"String": " "} or {"Regex": " +"}, "content": "▁"}.
#pragma once

#include <optional>
#include <string>

#include "core/status.h"
#include "data/json_view.h"
#include "data/regex.h"

namespace weft {

class TextReplacement {
 public:
  static StatusOr<TextReplacement> Parse(const JsonView& json);
  std::string Apply(const std::string& text) const;

 private:
  std::string from_;            // where regex_ is absent
  std::optional<Regex> regex_;
  std::string to_;
};

}  // namespace weft
