// After the Python language reference, section 2.4.1, "Escape sequences".
#include "data/jinja/string_literal.h"

#include <cctype>

#include "data/utf8.h"

namespace weft::jinja {
namespace {

// The value of `count` hexadecimal digits at text[begin].
StatusOr<char32_t> Hexadecimal(std::string_view text, size_t begin, size_t count) {
  char32_t value = 0;
  for (size_t i = begin; i < begin + count; ++i) {
    if (i >= text.size() || !std::isxdigit(static_cast<unsigned char>(text[i]))) {
      return UserError("the escape \\", text.substr(begin - 1, 1), " wants ", count, " hexadecimal digits");
    }
    const char c = static_cast<char>(std::tolower(text[i]));
    value = value * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
    return UserError("the escape \\", text.substr(begin - 1, 1 + count), " names no character");
  }
  return value;
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The character a single letter stands for after a backslash, or 0.
char SimpleEscape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'v': return '\v';
    case '\\':
    case '\'':
    case '"': return c;
    default: return '\0';
  }
}

}  // namespace

StatusOr<std::string> Unescape(std::string_view literal) {
  std::string text;
  for (size_t i = 0; i < literal.size();) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      text += literal[i++];
      continue;
    }
    const char c = literal[i + 1];
    i += 2;
    if (c == 'x' || c == 'u' || c == 'U') {
      const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      WEFT_ASSIGN_OR_RETURN(const char32_t value, Hexadecimal(literal, i, count));
      AppendUtf8(value, &text);
      i += count;
    } else if (IsOctal(c)) {
      char32_t value = static_cast<char32_t>(c - '0');
      for (int n = 1; n < 3 && i < literal.size() && IsOctal(literal[i]); ++n) value = value * 8 + (literal[i++] - '0');
      AppendUtf8(value, &text);
    } else if (c == 'N') {
      return UserError("the escape \\N{...} is not supported; write the character");
    } else if (SimpleEscape(c) != '\0') {
      text += SimpleEscape(c);
    } else if (c != '\n') {  // a backslash before a line break takes it away
      text += '\\';
      text += c;
    }
  }
  return text;
}

}  // namespace weft::jinja
