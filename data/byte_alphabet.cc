// The table, computed.
#include "data/byte_alphabet.h"

#include <array>

#include "data/utf8.h"

namespace weft {
namespace {

bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> letters;
  std::array<int, 0x144> bytes;  // of letters; -1: none
  std::array<std::string, 256> texts;

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      letters[byte] = StandsForItself(byte) ? static_cast<char32_t>(byte) : next++;
      bytes[letters[byte]] = byte;
      AppendUtf8(letters[byte], &texts[byte]);
    }
  }
};

const Alphabet& TheAlphabet() {
  static const Alphabet alphabet;
  return alphabet;
}

}  // namespace

char32_t LetterOfByte(unsigned char byte) { return TheAlphabet().letters[byte]; }

std::optional<unsigned char> ByteOfLetter(char32_t letter) {
  const Alphabet& alphabet = TheAlphabet();
  if (letter >= alphabet.bytes.size() || alphabet.bytes[letter] < 0) return std::nullopt;
  return static_cast<unsigned char>(alphabet.bytes[letter]);
}

std::string ToByteAlphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  AppendByteAlphabet(bytes, &text);
  return text;
}

void AppendByteAlphabet(std::string_view bytes, std::string* text) {
  const Alphabet& alphabet = TheAlphabet();
  for (const unsigned char byte : bytes) {
    if (alphabet.letters[byte] < 0x80) {
      text->push_back(static_cast<char>(byte));
    } else {
      text->append(alphabet.texts[byte], 0, 2);
    }
  }
}

std::optional<std::string> FromByteAlphabet(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = CodePointAt(text, i);
    const std::optional<unsigned char> byte = ByteOfLetter(c.value);
    if (!c.valid || !byte.has_value()) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
    i += c.length;
  }
  return bytes;
}

}  // namespace weft
