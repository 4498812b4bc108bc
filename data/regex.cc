// PCRE2 with just-in-time compilation.
#include "data/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "core/log.h"

namespace weft {

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

namespace {
std::string ErrorText(int error) {
  unsigned char text[256];
  if (pcre2_get_error_message(error, text, sizeof(text)) < 0) return StrCat("error ", error);
  return reinterpret_cast<const char*>(text);
}
}  // namespace

StatusOr<Regex> Regex::Compile(const std::string& pattern) {
  int error = 0;
  size_t offset = 0;
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code->code == nullptr) {
    return UserError("the regular expression '", pattern, "' is wrong at ", offset, ": ", ErrorText(error));
  }
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // where it cannot, the interpreter serves
  Regex regex;
  regex.code_ = std::move(code);
  return regex;
}

std::vector<std::pair<size_t, size_t>> Regex::FindAll(std::string_view text) const {
  std::vector<std::pair<size_t, size_t>> matches;
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t begin = 0;
  while (begin < text.size()) {
    // The caller's text is UTF-8: checking it again at every match would make this quadratic.
    const int count =
        pcre2_match(code_->code, subject, text.size(), begin, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data, nullptr);
    if (count < 0) {
      if (count != PCRE2_ERROR_NOMATCH) LogWarning("a pre-tokenizer's pattern gave up: ", ErrorText(count));
      break;
    }
    const size_t* span = pcre2_get_ovector_pointer(data);
    if (span[1] <= begin) break;  // \K can set a match's begin and end freely
    matches.emplace_back(std::max(span[0], begin), span[1]);
    begin = span[1];
  }
  pcre2_match_data_free(data);
  return matches;
}

}  // namespace weft
