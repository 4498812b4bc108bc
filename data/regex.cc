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

constexpr std::string_view kSpaces =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kWordCharacters = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";

// Writes out \s, \S, \w and \W. The negated ones have no such form inside brackets and keep PCRE2's meaning there.
std::string WithOnigurumaClasses(std::string_view pattern) {
  std::string result;
  bool in_brackets = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (in_brackets && pattern.substr(i, 2) == "[:") {  // [[:alpha:]]
      const size_t end = std::min(pattern.find(":]", i), pattern.size() - 2);
      result.append(pattern.substr(i, end + 2 - i));
      i = end + 1;
      continue;
    }
    if (c != '\\' || i + 1 == pattern.size()) {
      if (c == '[') in_brackets = true;
      if (c == ']') in_brackets = false;
      result.push_back(c);
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 'Q') {  // a literal, to \E
      const size_t end = std::min(pattern.find("\\E", i), pattern.size());
      result.append(pattern.substr(i - 1, end - i + 1));
      i = end - 1;
    } else if (const bool is_space = escaped == 's' || escaped == 'S';
               (is_space || escaped == 'w' || escaped == 'W') && !(in_brackets && (escaped == 'S' || escaped == 'W'))) {
      const std::string_view set = is_space ? kSpaces : kWordCharacters;
      const bool negated = escaped == 'S' || escaped == 'W';
      in_brackets ? StrAppend(&result, set) : StrAppend(&result, negated ? "[^" : "[", set, "]");
    } else {
      result.append({c, escaped});
    }
  }
  return result;
}

std::string ErrorText(int error) {
  unsigned char text[256];
  if (pcre2_get_error_message(error, text, sizeof(text)) < 0) return StrCat("error ", error);
  return reinterpret_cast<const char*>(text);
}

// Where PCRE2 puts a match: one a thread, since making one costs more than most matches.
pcre2_match_data* ThreadMatchData() {
  struct Data {
    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
    ~Data() { pcre2_match_data_free(data); }
  };
  static thread_local Data data;
  return data.data;
}

}  // namespace

StatusOr<Regex> Regex::Compile(const std::string& pattern) {
  int error = 0;
  size_t offset = 0;
  const std::string written_out = WithOnigurumaClasses(pattern);
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(written_out.data()), written_out.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code->code == nullptr) {
    return UserError("the regular expression '", written_out, "' is wrong at ", offset, ": ", ErrorText(error));
  }
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // where it cannot, the interpreter serves
  Regex regex;
  regex.code_ = std::move(code);
  return regex;
}

void Regex::FindAll(std::string_view text, std::vector<Match>* matches) const {
  matches->clear();
  pcre2_match_data* data = ThreadMatchData();
  const size_t* span = pcre2_get_ovector_pointer(data);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t begin = 0;
  while (begin < text.size()) {
    // The caller's text is UTF-8: checking it again at every match would make this quadratic.
    const int count =
        pcre2_match(code_->code, subject, text.size(), begin, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data, nullptr);
    if (count < 0) {
      if (count != PCRE2_ERROR_NOMATCH) LogWarning("a pre-tokenizer's pattern gave up: ", ErrorText(count));
      return;
    }
    if (span[1] <= begin) return;  // \K can set a match's begin and end freely
    matches->push_back({std::max(span[0], begin), span[1]});
    begin = span[1];
  }
}

}  // namespace weft
