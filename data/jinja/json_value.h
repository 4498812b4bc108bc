// JSON to Values: messages, tools and data records as templates see them. Keys keep their order.
#pragma once

#include <string_view>

#include "data/jinja/value.h"

namespace weft::jinja {

// What becomes of integers of more than 64 bits: data would change, settings of others may hold what nobody here reads.
enum class LongIntegers { kRefused, kAsFloats };

// `name` stands in messages. Fails on what is not JSON, nests deeper than 100, has a key twice, or holds an integer that is
// refused.
StatusOr<Value> ParseJsonValue(std::string_view text, std::string_view name,
                               LongIntegers long_integers = LongIntegers::kRefused);

// The value with all texts in it, keys included, marked as coming from `source`.
Value WithSource(const Value& value, int32_t source);

}  // namespace weft::jinja
