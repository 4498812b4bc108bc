// Table 3-7 of the Unicode Standard as ranges of second bytes; categories from utf8proc.
#include "data/utf8.h"

#include <utf8proc.h>

#include <algorithm>

namespace weft {
namespace {

// What may follow a lead byte: how many bytes, and the range of the first of them.
struct Follow {
  size_t count = 0;  // 0: not a lead byte
  unsigned char low = 0x80, high = 0xBF;
};

Follow FollowOf(unsigned char lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return {1};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};  // no surrogates
  if (lead >= 0xE1 && lead <= 0xEF) return {2};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {3};
  if (lead == 0xF4) return {3, 0x80, 0x8F};  // up to U+10FFFF
  return {0};
}

}  // namespace

CodePoint CodePointAt(std::string_view text, size_t begin) {
  const unsigned char lead = static_cast<unsigned char>(text[begin]);
  if (lead < 0x80) return {.value = lead, .length = 1};
  const Follow follow = FollowOf(lead);
  char32_t value = lead & (0x3Fu >> follow.count);
  size_t length = 1;
  for (; length <= follow.count; ++length) {
    if (begin + length == text.size()) return {.value = 0xFFFD, .length = length, .valid = false, .cut_off = true};
    const unsigned char byte = static_cast<unsigned char>(text[begin + length]);
    const bool fits = length == 1 ? byte >= follow.low && byte <= follow.high : byte >= 0x80 && byte <= 0xBF;
    if (!fits) return {.value = 0xFFFD, .length = length, .valid = false};
    value = (value << 6) | (byte & 0x3Fu);
  }
  if (follow.count == 0) return {.value = 0xFFFD, .length = 1, .valid = false};
  return {.value = value, .length = length};
}

std::string ToUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = CodePointAt(text, i);
    if (c.valid) {
      result.append(text, i, c.length);
    } else {
      AppendUtf8(c.value, &result);
    }
    i += c.length;
  }
  return result;
}

size_t CutOffBytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const unsigned char byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte >= 0x80 && byte < 0xC0) continue;
    const CodePoint c = CodePointAt(text, text.size() - back);
    return c.cut_off && c.length == back ? back : 0;
  }
  return 0;
}

void AppendUtf8(char32_t code_point, std::string* text) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  text->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

bool IsWhitespace(char32_t c) {
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return true;
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool IsWordCharacter(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  const bool is_joiner = c == 0x200C || c == 0x200D;
  // Circled and squared letters: symbols that are Alphabetic.
  const bool is_enclosed_letter = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
                                  (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC || is_joiner || is_enclosed_letter;
}

}  // namespace weft
