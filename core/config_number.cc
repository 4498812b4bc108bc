// std::from_chars and std::to_chars behind core/config_number.h.
#include "core/config_number.h"

#include <charconv>
#include <cmath>
#include <optional>

namespace weft {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Without a leading plus and the underscores between digits; nothing where the text is no decimal number.
std::optional<std::string> PlainDecimal(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const size_t sign = text.starts_with('-') ? 1 : 0;
  if (text.size() <= sign || !(IsDigit(text[sign]) || text[sign] == '.')) return std::nullopt;  // also inf and nan
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
    } else if (i == 0 || i + 1 == text.size() || !IsDigit(text[i - 1]) || !IsDigit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return plain;
}

template <typename T>
bool FromChars(const std::string& text, T* value) {
  const char* const end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

bool ParseNumber(std::string_view text, double* value) {
  const std::optional<std::string> plain = PlainDecimal(text);
  return plain.has_value() && FromChars(*plain, value) && std::isfinite(*value);
}

bool ParseNumber(std::string_view text, int64_t* value) {
  const std::optional<std::string> plain = PlainDecimal(text);
  if (!plain.has_value()) return false;
  if (FromChars(*plain, value)) return true;
  double number;
  if (!FromChars(*plain, &number)) return false;
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (number != std::trunc(number) || number < -kLimit || number >= kLimit) return false;
  *value = static_cast<int64_t>(number);
  return true;
}

std::string PrintNumber(double value) {
  char text[32];
  const std::to_chars_result result = std::to_chars(text, text + sizeof(text), value);
  return std::string(text, result.ptr);
}

}  // namespace weft
