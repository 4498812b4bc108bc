// One value of a table's row as templates see it, by its column's specification and what was fitted.
#pragma once

#include <optional>
#include <string>

#include "core/status.h"
#include "data/jinja/value.h"
#include "data/table_spec.h"

namespace weft {

// Whether a value says that nothing is known. `value` may be null: the row has no such column.
bool IsMissing(const ColumnSpec& column, const jinja::Value* value);

// The number that a value of kind number is; an error for what is none, or not finite.
StatusOr<double> NumberOf(const jinja::Value& value);
// The text that a value is; numbers and truth values as they are written. An error for lists and
// objects.
StatusOr<std::string> TextOf(const jinja::Value& value);

// The same without white space around it.
StatusOr<std::string> CategoryOf(const jinja::Value& value);

// What a template sees: a text, and for kind json the value as it is. The column must be fitted. Not for values that are
// missing in a row that is to be dropped. Errors say what was expected, and which key says otherwise.
StatusOr<jinja::Value> ColumnValue(const ColumnSpec& column, const jinja::Value* value);

}  // namespace weft
