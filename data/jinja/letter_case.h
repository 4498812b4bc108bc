// Properties of code points that Python's str methods ask for, from utf8proc.
#pragma once

#include "data/jinja/text.h"

namespace weft::jinja {

bool IsPrintable(char32_t code_point);  // Python's str.isprintable
bool IsCased(char32_t code_point);
bool IsUpper(char32_t code_point);
bool IsLower(char32_t code_point);
bool IsAlpha(char32_t code_point);
bool IsDigit(char32_t code_point);  // decimal digits

// Code point by code point: the few whose other case is several letters (the German sharp s) stay as they are.
Text UpperCase(const Text& text);
Text LowerCase(const Text& text);
Text TitleCase(const Text& text);       // every word's first letter upper case, the rest lower
// As TitleCase, but words begin only behind white space, '-', '(', '{', '[' and '<': Jinja's filter `title`.
Text TitleCaseOfWords(const Text& text);
Text CapitalizeCase(const Text& text);  // the first letter upper case, the rest lower

}  // namespace weft::jinja
