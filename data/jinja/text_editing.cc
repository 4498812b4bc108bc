// Offsets into bytes; UTF-8 lets separators be sought bytewise.
#include "data/jinja/text_editing.h"

#include <algorithm>

#include "data/utf8.h"

namespace weft::jinja {
namespace {

bool HoldsCharacter(std::string_view characters, std::string_view one) {
  return characters.find(one) != std::string_view::npos;
}

// The words between runs of white space, from the left: at most `max_splits` cuts, then the rest.
std::vector<Text> SplitAtSpace(const Text& text, int64_t max_splits) {
  std::vector<Text> parts;
  const std::string& bytes = text.bytes();
  for (size_t begin = SkipSpace(bytes, 0); begin < bytes.size();) {
    size_t end = begin;
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) >= max_splits) {
      parts.push_back(text.Sub(begin, SkipSpaceBack(bytes, bytes.size())));
      break;
    }
    while (end < bytes.size() && SkipSpace(bytes, end) == end) end += CodePointAt(bytes, end).length;
    parts.push_back(text.Sub(begin, end));
    begin = SkipSpace(bytes, end);
  }
  return parts;
}

std::vector<Text> SplitAtSpaceFromRight(const Text& text, int64_t max_splits) {
  std::vector<Text> parts;
  const std::string& bytes = text.bytes();
  for (size_t end = SkipSpaceBack(bytes, bytes.size()); end > 0;) {
    size_t begin = end;
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) >= max_splits) {
      parts.push_back(text.Sub(SkipSpace(bytes, 0), end));
      break;
    }
    while (begin > 0 && SkipSpaceBack(bytes, begin) == begin) begin = PreviousCodePoint(bytes, begin);
    parts.push_back(text.Sub(begin, end));
    end = SkipSpaceBack(bytes, begin);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

Text Strip(const Text& text, std::optional<std::string_view> characters, Sides sides) {
  const std::string& bytes = text.bytes();
  size_t begin = 0, end = bytes.size();
  const auto goes = [&](size_t at, size_t length) {
    if (!characters.has_value()) return IsPythonSpace(CodePointAt(bytes, at).value);
    return HoldsCharacter(*characters, std::string_view(bytes).substr(at, length));
  };
  while (sides != Sides::kRight && begin < end) {
    const size_t length = CodePointAt(bytes, begin).length;
    if (!goes(begin, length)) break;
    begin += length;
  }
  while (sides != Sides::kLeft && begin < end) {
    const size_t last = PreviousCodePoint(bytes, end);
    if (!goes(last, end - last)) break;
    end = last;
  }
  return text.Sub(begin, end);
}

std::vector<Text> Split(const Text& text, std::optional<std::string_view> separator, int64_t max_splits) {
  if (!separator.has_value()) return SplitAtSpace(text, max_splits);
  std::vector<Text> parts;
  size_t begin = 0;
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    const size_t end = text.bytes().find(*separator, begin);
    if (end == std::string::npos) break;
    parts.push_back(text.Sub(begin, end));
    begin = end + separator->size();
  }
  parts.push_back(text.Sub(begin, text.size()));
  return parts;
}

std::vector<Text> SplitFromRight(const Text& text, std::optional<std::string_view> separator, int64_t max_splits) {
  if (!separator.has_value()) return SplitAtSpaceFromRight(text, max_splits);
  std::vector<Text> parts;
  size_t end = text.size();
  while ((max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) && end >= separator->size()) {
    const size_t begin = text.bytes().rfind(*separator, end - separator->size());
    if (begin == std::string::npos) break;
    parts.push_back(text.Sub(begin + separator->size(), end));
    end = begin;
  }
  parts.push_back(text.Sub(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Text> SplitLines(const Text& text) {
  std::vector<Text> lines;
  const std::string& bytes = text.bytes();
  for (size_t begin = 0; begin < bytes.size();) {
    size_t end = begin, length = 0;
    while (end < bytes.size()) {
      const CodePoint c = CodePointAt(bytes, end);
      length = c.length;
      const bool breaks = (c.value >= '\n' && c.value <= '\r') || (c.value >= 0x1c && c.value <= 0x1e) ||
                          c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
      if (breaks) break;
      end += length;
    }
    lines.push_back(text.Sub(begin, end));
    begin = end + length + (bytes.compare(end, 2, "\r\n") == 0 ? 1 : 0);
  }
  return lines;
}

StatusOr<Text> Replace(const Text& text, std::string_view old_text, const Text& new_text, int64_t count, Budget& budget) {
  Text result;
  const std::string& bytes = text.bytes();
  size_t kept = 0;  // up to here `text` is in the result
  size_t at = 0;
  while (count != 0 && at <= bytes.size()) {
    at = bytes.find(old_text, at);
    if (at == std::string::npos) break;
    WEFT_RETURN_IF_ERROR(budget.Allocate(at - kept + new_text.size()));
    result.Append(text, kept, at);
    result.Append(new_text);
    kept = at + old_text.size();
    // Nothing is replaced between any two characters.
    at = !old_text.empty() ? kept : at + (at < bytes.size() ? CodePointAt(bytes, at).length : 1);
    if (count > 0) --count;
  }
  WEFT_RETURN_IF_ERROR(budget.Allocate(bytes.size() - kept));
  result.Append(text, kept, bytes.size());
  return result;
}

}  // namespace weft::jinja
