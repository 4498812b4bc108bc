// The byte alphabet of GPT-2: every byte as one printable code point, so that byte-level tokens can stand in JSON.
// Printable Latin-1 bytes stand for themselves, the other 68 for U+0100 onwards in their order (space is U+0120, Ġ).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weft {

char32_t LetterOfByte(unsigned char byte);
std::optional<unsigned char> ByteOfLetter(char32_t letter);

std::string ToByteAlphabet(std::string_view bytes);  // UTF-8
void AppendByteAlphabet(std::string_view bytes, std::string* text);
// The bytes that `text` stands for; nothing where it holds a code point that is no letter of the alphabet.
std::optional<std::string> FromByteAlphabet(std::string_view text);

}  // namespace weft
