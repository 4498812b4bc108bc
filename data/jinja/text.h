// Text: a string that knows which of its bytes came out of the conversation and which the template wrote.
//
// Every string a template works on is a Text, and every operation on strings (joining, slicing, stripping, JSON, ...)
// carries the origin of each byte along. So the rendered text says by itself which tokens a loss belongs on and where
// a control token is the template's own, without a template having to be edited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::jinja {

struct Origin {
  int32_t source = 0;          // 0: the template; else as whoever supplied the values numbered them
  bool in_generation = false;  // written inside {% generation %}
  bool operator==(const Origin&) const = default;
};

class Text {
 public:
  // Bytes [begin, end) are of one origin that is not the default one.
  struct Mark {
    size_t begin = 0, end = 0;
    Origin origin;
  };

  Text() = default;
  explicit Text(std::string bytes, Origin origin = {});

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  const std::vector<Mark>& marks() const { return marks_; }  // ascending, disjoint, not empty, as long as they can be
  Origin OriginAt(size_t position) const;                    // position < size()

  void Append(std::string_view bytes, Origin origin = {});
  void Append(const Text& other) { Append(other, 0, other.size()); }
  void Append(const Text& other, size_t begin, size_t end);  // its bytes [begin, end)
  Text Sub(size_t begin, size_t end) const;                  // bytes [begin, end)
  void MarkGeneration();                                     // all of it was written inside {% generation %}

 private:
  void AddMark(size_t begin, size_t end, Origin origin);

  std::string bytes_;
  std::vector<Mark> marks_;
};

// What Python's str.isspace says: white space of Unicode, and the four separators of ASCII.
bool IsPythonSpace(char32_t code_point);

// Where a run of white space that begins at `begin` ends, and where one that ends at `end` begins.
size_t SkipSpace(std::string_view text, size_t begin);
size_t SkipSpaceBack(std::string_view text, size_t end);

// Where the code point that ends at `end` > 0 begins, in UTF-8.
size_t PreviousCodePoint(std::string_view text, size_t end);
size_t CountCodePoints(std::string_view text);

}  // namespace weft::jinja
