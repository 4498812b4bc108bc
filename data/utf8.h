// UTF-8 by the Unicode Standard, section 3.9: code points, and the replacement of what is not UTF-8 by U+FFFD, one for
// each maximal part of an ill-formed sequence (its practice D93b, which Rust, Python and browsers share).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weft {

struct CodePoint {
  char32_t value = 0;
  size_t length = 0;   // bytes, at least 1
  bool valid = true;   // else value is U+FFFD and length that of the maximal ill-formed part
  bool cut_off = false;  // not valid, but only because the text ends
};

// The code point at text[begin]; begin < text.size().
CodePoint CodePointAt(std::string_view text, size_t begin);

std::string ToUtf8(std::string_view text);  // ill-formed parts replaced

// How many bytes at the end of `text` begin a code point that is not complete: 0..3.
size_t CutOffBytes(std::string_view text);

void AppendUtf8(char32_t code_point, std::string* text);

bool IsWhitespace(char32_t code_point);  // the property White_Space
bool IsWordCharacter(char32_t code_point);  // Alphabetic, marks, decimal digits, connectors, joiners (UTS 18)

}  // namespace weft
