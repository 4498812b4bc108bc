// Arithmetic on integers of 64 bits, which do not wrap around, and on doubles; joining and repeating of texts and lists.
#include "data/jinja/operators.h"

#include <cmath>

#include "data/jinja/printing.h"

namespace weft::jinja {
namespace {

bool IsWhole(const Value& value) { return value.AsInt() != nullptr || value.AsBool() != nullptr; }

std::string_view SymbolOf(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd: return "+";
    case BinaryOperator::kSubtract: return "-";
    case BinaryOperator::kMultiply: return "*";
    case BinaryOperator::kDivide: return "/";
    case BinaryOperator::kFloorDivide: return "//";
    case BinaryOperator::kModulo: return "%";
    case BinaryOperator::kPower: return "**";
    default: return "~";
  }
}

// Python's floor division: the remainder has the divisor's sign.
int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// a ** b with b >= 0; false where it does not fit.
bool Power(int64_t base, int64_t exponent, int64_t* result) {
  *result = 1;
  for (; exponent > 0 && *result != 0; --exponent) {
    if (base == 1) return true;
    if (base == -1) return *result = exponent % 2 == 0 ? *result : -*result, true;
    if (__builtin_mul_overflow(*result, base, result)) return false;
  }
  return true;
}

StatusOr<Value> OfIntegers(BinaryOperator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool fits = true;
  switch (op) {
    case BinaryOperator::kAdd: fits = !__builtin_add_overflow(a, b, &result); break;
    case BinaryOperator::kSubtract: fits = !__builtin_sub_overflow(a, b, &result); break;
    case BinaryOperator::kMultiply: fits = !__builtin_mul_overflow(a, b, &result); break;
    case BinaryOperator::kPower: fits = Power(a, b, &result); break;
    default:  // division
      if (b == 0) return UserError("division by zero");
      if (b == -1) {  // the smallest integer has no negative
        fits = op == BinaryOperator::kModulo || !__builtin_sub_overflow(int64_t{0}, a, &result);
      } else {
        result = op == BinaryOperator::kModulo ? a - FloorDivide(a, b) * b : FloorDivide(a, b);
      }
  }
  if (!fits) return UserError(a, " ", SymbolOf(op), " ", b, " is no integer of 64 bits");
  return Value(result);
}

StatusOr<Value> OfDoubles(BinaryOperator op, double a, double b) {
  const bool divides =
      op == BinaryOperator::kDivide || op == BinaryOperator::kFloorDivide || op == BinaryOperator::kModulo;
  if (divides && b == 0) return UserError("division by zero");
  switch (op) {
    case BinaryOperator::kAdd: return Value(a + b);
    case BinaryOperator::kSubtract: return Value(a - b);
    case BinaryOperator::kMultiply: return Value(a * b);
    case BinaryOperator::kDivide: return Value(a / b);
    case BinaryOperator::kFloorDivide: return Value(std::floor(a / b));
    case BinaryOperator::kPower: return Value(std::pow(a, b));
    default: {
      const double rest = std::fmod(a, b);
      return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
  }
}

StatusOr<Value> Repeat(const Value& value, int64_t times, Budget& budget) {
  const size_t count = times > 0 ? static_cast<size_t>(times) : 0;
  const size_t size = value.shallow_bytes() + 1;
  if (count > (size_t{1} << 40) / size) return UserError("a text or list repeated ", times, " times is too large");
  WEFT_RETURN_IF_ERROR(budget.Allocate(count * size));
  if (value.AsText() != nullptr) {
    Text text;
    for (size_t i = 0; i < count; ++i) text.Append(*value.AsText());
    return Value(std::move(text));
  }
  const List& list = *value.AsList();
  std::vector<Value> items;
  for (size_t i = 0; i < count; ++i) items.insert(items.end(), list.items.begin(), list.items.end());
  return MakeList(std::move(items), list.is_tuple);
}

StatusOr<Value> Join(const Value& left, const Value& right, Budget& budget) {
  WEFT_RETURN_IF_ERROR(budget.Allocate(left.shallow_bytes() + right.shallow_bytes()));
  if (left.AsText() != nullptr) {
    Text text = *left.AsText();
    text.Append(*right.AsText());
    return Value(std::move(text));
  }
  std::vector<Value> items = left.AsList()->items;
  items.insert(items.end(), right.AsList()->items.begin(), right.AsList()->items.end());
  return MakeList(std::move(items), left.AsList()->is_tuple);
}

}  // namespace

StatusOr<Value> ApplyBinary(BinaryOperator op, const Value& left, const Value& right, Budget& budget) {
  if (op == BinaryOperator::kConcatenate) {
    WEFT_ASSIGN_OR_RETURN(Text text, ToText(left, budget));
    WEFT_ASSIGN_OR_RETURN(const Text end, ToText(right, budget));
    WEFT_RETURN_IF_ERROR(budget.Allocate(text.size() + end.size()));
    text.Append(end);
    return Value(std::move(text));
  }
  WEFT_RETURN_IF_ERROR(CheckDefined(left));
  WEFT_RETURN_IF_ERROR(CheckDefined(right));
  if (IsWhole(left) && IsWhole(right)) {
    const int64_t a = *ToInteger(left, ""), b = *ToInteger(right, "");
    const bool is_fraction = op == BinaryOperator::kDivide || (op == BinaryOperator::kPower && b < 0);
    if (!is_fraction) return OfIntegers(op, a, b);
  }
  if (left.is_number() && right.is_number()) return OfDoubles(op, *ToDouble(left), *ToDouble(right));
  const bool are_texts = left.AsText() != nullptr && right.AsText() != nullptr;
  const bool are_lists = left.AsList() != nullptr && right.AsList() != nullptr &&
                         left.AsList()->is_tuple == right.AsList()->is_tuple;
  if (op == BinaryOperator::kAdd && (are_texts || are_lists)) return Join(left, right, budget);
  if (op == BinaryOperator::kMultiply) {
    const bool left_repeats = left.AsText() != nullptr || left.AsList() != nullptr;
    const bool right_repeats = right.AsText() != nullptr || right.AsList() != nullptr;
    if (left_repeats && IsWhole(right)) return Repeat(left, *ToInteger(right, ""), budget);
    if (right_repeats && IsWhole(left)) return Repeat(right, *ToInteger(left, ""), budget);
  }
  return UserError("'", SymbolOf(op), "' does not work on ", left.TypeName(), " and ", right.TypeName());
}

StatusOr<bool> ApplyComparison(CompareOperator op, const Value& left, const Value& right, Budget& budget) {
  if (op == CompareOperator::kEqual || op == CompareOperator::kNotEqual) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(left, right, budget));
    return equal == (op == CompareOperator::kEqual);
  }
  if (op == CompareOperator::kIn || op == CompareOperator::kNotIn) {
    WEFT_ASSIGN_OR_RETURN(const bool contains, Contains(right, left, budget));
    return contains == (op == CompareOperator::kIn);
  }
  WEFT_ASSIGN_OR_RETURN(const int order, CompareValues(left, right, budget));
  switch (op) {
    case CompareOperator::kLess: return order < 0;
    case CompareOperator::kLessEqual: return order <= 0;
    case CompareOperator::kGreater: return order > 0;
    default: return order >= 0;
  }
}

StatusOr<Value> ApplyUnary(UnaryOperator op, const Value& operand) {
  if (op == UnaryOperator::kNot) return Value(!operand.IsTrue());
  if (IsWhole(operand)) {
    const int64_t value = *ToInteger(operand, "");
    return op == UnaryOperator::kNegative ? OfIntegers(BinaryOperator::kSubtract, 0, value) : Value(value);
  }
  WEFT_ASSIGN_OR_RETURN(const double value, ToDouble(operand));
  return Value(op == UnaryOperator::kNegative ? -value : value);
}

}  // namespace weft::jinja
