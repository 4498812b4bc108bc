// Marks are kept sorted, so that cutting a text cuts its marks by binary search.
#include "data/jinja/text.h"

#include <algorithm>
#include <utility>

#include "data/utf8.h"

namespace weft::jinja {

Text::Text(std::string bytes, Origin origin) : bytes_(std::move(bytes)) { AddMark(0, bytes_.size(), origin); }

void Text::AddMark(size_t begin, size_t end, Origin origin) {
  if (begin == end || origin == Origin{}) return;
  if (!marks_.empty() && marks_.back().end == begin && marks_.back().origin == origin) {
    marks_.back().end = end;
  } else {
    marks_.push_back({begin, end, origin});
  }
}

Origin Text::OriginAt(size_t position) const {
  const auto mark = std::partition_point(marks_.begin(), marks_.end(), [&](const Mark& m) { return m.end <= position; });
  return mark != marks_.end() && mark->begin <= position ? mark->origin : Origin{};
}

void Text::Append(std::string_view bytes, Origin origin) {
  const size_t begin = bytes_.size();
  bytes_.append(bytes);
  AddMark(begin, bytes_.size(), origin);
}

void Text::Append(const Text& other, size_t begin, size_t end) {
  const size_t at = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  auto mark = std::partition_point(other.marks_.begin(), other.marks_.end(),
                                   [&](const Mark& m) { return m.end <= begin; });
  for (; mark != other.marks_.end() && mark->begin < end; ++mark) {
    AddMark(at + std::max(mark->begin, begin) - begin, at + std::min(mark->end, end) - begin, mark->origin);
  }
}

Text Text::Sub(size_t begin, size_t end) const {
  Text part;
  part.Append(*this, begin, end);
  return part;
}

void Text::MarkGeneration() {
  const std::vector<Mark> before = std::exchange(marks_, {});
  size_t position = 0;
  for (const Mark& mark : before) {
    AddMark(position, mark.begin, {.in_generation = true});
    AddMark(mark.begin, mark.end, {mark.origin.source, true});
    position = mark.end;
  }
  AddMark(position, bytes_.size(), {.in_generation = true});
}

bool IsPythonSpace(char32_t code_point) {
  return IsWhitespace(code_point) || (code_point >= 0x1c && code_point <= 0x1f);
}

size_t SkipSpace(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const CodePoint next = CodePointAt(text, begin);
    if (!IsPythonSpace(next.value)) break;
    begin += next.length;
  }
  return begin;
}

size_t PreviousCodePoint(std::string_view text, size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
  return end;
}

size_t SkipSpaceBack(std::string_view text, size_t end) {
  while (end > 0) {
    const size_t begin = PreviousCodePoint(text, end);
    if (!IsPythonSpace(CodePointAt(text, begin).value)) break;
    end = begin;
  }
  return end;
}

size_t CountCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace weft::jinja
