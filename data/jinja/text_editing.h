// Operations on texts that filters and methods share. All keep the origins of what they keep.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "data/jinja/budget.h"
#include "data/jinja/text.h"

namespace weft::jinja {

enum class Sides { kBoth, kLeft, kRight };

// Python's strip, lstrip, rstrip: takes away the code points of `characters`, or white space where there are none given.
Text Strip(const Text& text, std::optional<std::string_view> characters, Sides sides);

// Python's split; `max_splits` < 0: as many as there are. Between runs of white space, without empty parts, where no
// separator is given; `separator` is not empty.
std::vector<Text> Split(const Text& text, std::optional<std::string_view> separator, int64_t max_splits);
std::vector<Text> SplitFromRight(const Text& text, std::optional<std::string_view> separator, int64_t max_splits);
// At line breaks, which are not kept.
std::vector<Text> SplitLines(const Text& text);

// The first `count` occurrences, all where negative.
StatusOr<Text> Replace(const Text& text, std::string_view old_text, const Text& new_text, int64_t count, Budget& budget);

}  // namespace weft::jinja
