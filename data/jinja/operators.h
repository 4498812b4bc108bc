// The operators of expressions on values, and access to what values hold: Python's rules.
#pragma once

#include <string_view>

#include "data/jinja/syntax_tree.h"
#include "data/jinja/value.h"

namespace weft::jinja {

// Of two values that are both needed: not `and`, `or`.
StatusOr<Value> ApplyBinary(BinaryOperator op, const Value& left, const Value& right, Budget& budget);
StatusOr<bool> ApplyComparison(CompareOperator op, const Value& left, const Value& right, Budget& budget);
StatusOr<Value> ApplyUnary(UnaryOperator op, const Value& operand);

// object.name: methods first, then entries of a dict. Undefined where there is none; an error on an undefined object.
StatusOr<Value> GetAttribute(const Value& object, std::string_view name);
// object[key]: entries and elements first, then, for a name, methods.
StatusOr<Value> GetItem(const Value& object, const Value& key);
// object[start:stop:step]; none stands for a bound that is left out.
StatusOr<Value> GetSlice(const Value& object, const Value& start, const Value& stop, const Value& step);

}  // namespace weft::jinja
