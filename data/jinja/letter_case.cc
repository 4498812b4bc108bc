// Case by utf8proc's simple mappings.
#include "data/jinja/letter_case.h"

#include <utf8proc.h>

#include "data/utf8.h"

namespace weft::jinja {
namespace {

utf8proc_category_t CategoryOf(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

char32_t Upper(char32_t c) { return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))); }
char32_t Lower(char32_t c) { return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))); }
char32_t Title(char32_t c) { return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))); }

// `change(code point, the one before it)`, 0 before the first.
template <typename Change>
Text Mapped(const Text& text, const Change& change) {
  Text mapped;
  char32_t before = 0;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = CodePointAt(text.bytes(), i);
    std::string changed;
    AppendUtf8(change(c.value, before), &changed);
    mapped.Append(changed, text.OriginAt(i));
    before = c.value;
    i += c.length;
  }
  return mapped;
}

}  // namespace

bool IsPrintable(char32_t c) {
  switch (CategoryOf(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    case UTF8PROC_CATEGORY_ZS: return c == ' ';
    default: return true;
  }
}

bool IsUpper(char32_t c) { return CategoryOf(c) == UTF8PROC_CATEGORY_LU; }
bool IsLower(char32_t c) { return CategoryOf(c) == UTF8PROC_CATEGORY_LL; }
bool IsCased(char32_t c) { return IsUpper(c) || IsLower(c) || CategoryOf(c) == UTF8PROC_CATEGORY_LT; }
bool IsDigit(char32_t c) { return CategoryOf(c) == UTF8PROC_CATEGORY_ND; }
bool IsAlpha(char32_t c) {
  return IsCased(c) || CategoryOf(c) == UTF8PROC_CATEGORY_LM || CategoryOf(c) == UTF8PROC_CATEGORY_LO;
}

Text UpperCase(const Text& text) {
  return Mapped(text, [](char32_t c, char32_t) { return Upper(c); });
}
Text LowerCase(const Text& text) {
  return Mapped(text, [](char32_t c, char32_t) { return Lower(c); });
}
Text TitleCase(const Text& text) {
  return Mapped(text, [](char32_t c, char32_t before) { return IsCased(before) ? Lower(c) : Title(c); });
}
Text TitleCaseOfWords(const Text& text) {
  return Mapped(text, [](char32_t c, char32_t before) {
    const bool begins = before == 0 || IsPythonSpace(before) || before == '-' || before == '(' || before == '{' ||
                        before == '[' || before == '<';
    return begins ? Upper(c) : Lower(c);
  });
}
Text CapitalizeCase(const Text& text) {
  return Mapped(text, [](char32_t c, char32_t before) { return before == 0 ? Title(c) : Lower(c); });
}

}  // namespace weft::jinja
