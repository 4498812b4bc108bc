// JSON to Values: messages, tools and data records as templates see them. Keys keep their order.
#pragma once

#include <string_view>

#include "data/jinja/value.h"

namespace weft::jinja {

// `name` stands in messages. Fails on what is not JSON, nests deeper than 100, has a key twice, or holds an integer of more
// than 64 bits.
StatusOr<Value> ParseJsonValue(std::string_view text, std::string_view name);

// The value with all texts in it, keys included, marked as coming from `source`.
Value WithSource(const Value& value, int32_t source);

}  // namespace weft::jinja
