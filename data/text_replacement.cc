// Replacement by absl for strings, by PCRE2 for patterns.
#include "data/text_replacement.h"

#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"

namespace weft {

StatusOr<TextReplacement> TextReplacement::Parse(const JsonView& json) {
  TextReplacement replacement;
  WEFT_ASSIGN_OR_RETURN(replacement.to_, json.String("content"));
  WEFT_ASSIGN_OR_RETURN(const JsonView pattern, json.Get("pattern"));
  WEFT_ASSIGN_OR_RETURN(const JsonView expression, pattern.Get("Regex"));
  if (!expression.is_null()) {
    WEFT_ASSIGN_OR_RETURN(const std::string text, expression.String());
    StatusOr<Regex> regex = Regex::Compile(text);
    if (!regex.ok()) return WithContext(regex.status(), expression.path());
    replacement.regex_ = *std::move(regex);
    return replacement;
  }
  WEFT_ASSIGN_OR_RETURN(replacement.from_, pattern.String("String"));
  if (replacement.from_.empty()) return pattern.Error("the string to replace is empty");
  return replacement;
}

std::string TextReplacement::Apply(const std::string& text) const {
  if (!regex_.has_value()) return absl::StrReplaceAll(text, {{from_, to_}});
  std::string result;
  std::vector<Regex::Match> matches;
  regex_->FindAll(text, &matches);
  size_t done = 0;
  for (const auto& [begin, end] : matches) {
    result.append(text, done, begin - done).append(to_);
    done = end;
  }
  return result.append(text, done);
}

}  // namespace weft
