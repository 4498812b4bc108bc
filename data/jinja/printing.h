// How values turn into text: Python's str() and repr(), and json.dumps as Hugging Face's tojson calls it.
//
// Texts inside keep their origins, escapes included.
#pragma once

#include <optional>
#include <string>

#include "data/jinja/value.h"

namespace weft::jinja {

// Python's str(): what {{ value }} writes. Undefined writes nothing.
StatusOr<Text> ToText(const Value& value, Budget& budget);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; absent: all on one line
  std::optional<std::string> item_separator, key_separator;  // absent: ", " or, where indented, ","; and ": "
};

// Fails for what JSON has no form for: undefined, functions, namespaces.
StatusOr<Text> ToJson(const Value& value, const JsonStyle& style, Budget& budget);

// Python's repr of a float: the shortest digits that read back as the same number.
std::string FloatRepr(double value);

}  // namespace weft::jinja
