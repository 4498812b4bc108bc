// What may follow `is`: Jinja's tests.
#include "data/jinja/function.h"
#include "data/jinja/letter_case.h"
#include "data/jinja/operators.h"
#include "data/utf8.h"

namespace weft::jinja {
namespace {

template <CompareOperator op>
StatusOr<Value> Compared(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const bool holds, ApplyComparison(op, call.self, call.args[0], call.budget));
  return Value(holds);
}

template <bool (*holds)(const Value&)>
StatusOr<Value> Is(Invocation& call) {
  return Value(holds(call.self));
}

bool IsDefined(const Value& v) { return !v.is_undefined(); }
bool IsUndefined(const Value& v) { return v.is_undefined(); }
bool IsNone(const Value& v) { return v.is_none(); }
bool IsString(const Value& v) { return v.AsText() != nullptr; }
bool IsMapping(const Value& v) { return v.AsDict() != nullptr; }
bool IsNumber(const Value& v) { return v.is_number(); }
bool IsInteger(const Value& v) { return v.AsInt() != nullptr; }
bool IsFloat(const Value& v) { return v.AsFloat() != nullptr; }
bool IsBoolean(const Value& v) { return v.AsBool() != nullptr; }
bool IsTrueValue(const Value& v) { return v.AsBool() != nullptr && *v.AsBool(); }
bool IsFalseValue(const Value& v) { return v.AsBool() != nullptr && !*v.AsBool(); }
bool IsCallable(const Value& v) { return v.AsFunction() != nullptr; }
// Undefined has a length and can be iterated over in Jinja.
bool IsSequence(const Value& v) { return IsString(v) || IsMapping(v) || v.AsList() != nullptr || v.is_undefined(); }
bool IsIterable(const Value& v) { return IsSequence(v) || v.AsLoop() != nullptr; }

template <int64_t remainder>
StatusOr<Value> HasRemainderOfTwo(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const int64_t value, ToInteger(call.self, "value"));
  return Value((value % 2 != 0) == (remainder == 1));
}

StatusOr<Value> DivisibleBy(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const int64_t value, ToInteger(call.self, "value"));
  WEFT_ASSIGN_OR_RETURN(const int64_t divisor, call.IntArg(0, 1));
  if (divisor == 0) return UserError("division by zero");
  return Value(divisor == -1 || value % divisor == 0);
}

template <bool (*is_case)(char32_t)>
StatusOr<Value> HasCase(Invocation& call) {
  const Builtin* method = FindTextMethod(is_case == IsUpper ? "isupper" : "islower");
  if (call.self.AsText() == nullptr) return Value(false);
  return method->call(call);
}

StatusOr<Value> IsFilterName(Invocation& call) {
  return Value(call.self.AsText() != nullptr && FindFilter(call.self.AsText()->bytes()) != nullptr);
}

StatusOr<Value> IsTestName(Invocation& call) {
  return Value(call.self.AsText() != nullptr && FindTest(call.self.AsText()->bytes()) != nullptr);
}

// The same object; for None, booleans and small values that is the same value.
StatusOr<Value> SameAs(Invocation& call) {
  if (call.self.TypeName() != call.args[0].TypeName()) return Value(false);
  WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(call.self, call.args[0], call.budget));
  return Value(equal);
}

}  // namespace

const Builtin* FindTest(std::string_view name) {
  using Op = CompareOperator;
  static const std::vector<Builtin> kTests = {
      {"defined", {}, 0, Is<IsDefined>},
      {"undefined", {}, 0, Is<IsUndefined>},
      {"none", {}, 0, Is<IsNone>},
      {"string", {}, 0, Is<IsString>},
      {"mapping", {}, 0, Is<IsMapping>},
      {"iterable", {}, 0, Is<IsIterable>},
      {"sequence", {}, 0, Is<IsSequence>},
      {"number", {}, 0, Is<IsNumber>},
      {"integer", {}, 0, Is<IsInteger>},
      {"float", {}, 0, Is<IsFloat>},
      {"boolean", {}, 0, Is<IsBoolean>},
      {"true", {}, 0, Is<IsTrueValue>},
      {"false", {}, 0, Is<IsFalseValue>},
      {"callable", {}, 0, Is<IsCallable>},
      {"odd", {}, 0, HasRemainderOfTwo<1>},
      {"even", {}, 0, HasRemainderOfTwo<0>},
      {"divisibleby", {"num"}, 1, DivisibleBy},
      {"upper", {}, 0, HasCase<IsUpper>},
      {"lower", {}, 0, HasCase<IsLower>},
      {"filter", {}, 0, IsFilterName},
      {"test", {}, 0, IsTestName},
      {"sameas", {"other"}, 1, SameAs},
      {"in", {"seq"}, 0, Compared<Op::kIn>},
      {"eq", {"other"}, 0, Compared<Op::kEqual>},
      {"equalto", {"other"}, 0, Compared<Op::kEqual>},
      {"==", {"other"}, 0, Compared<Op::kEqual>},
      {"ne", {"other"}, 0, Compared<Op::kNotEqual>},
      {"!=", {"other"}, 0, Compared<Op::kNotEqual>},
      {"lt", {"other"}, 1, Compared<Op::kLess>},
      {"lessthan", {"other"}, 1, Compared<Op::kLess>},
      {"<", {"other"}, 1, Compared<Op::kLess>},
      {"le", {"other"}, 1, Compared<Op::kLessEqual>},
      {"<=", {"other"}, 1, Compared<Op::kLessEqual>},
      {"gt", {"other"}, 1, Compared<Op::kGreater>},
      {"greaterthan", {"other"}, 1, Compared<Op::kGreater>},
      {">", {"other"}, 1, Compared<Op::kGreater>},
      {"ge", {"other"}, 1, Compared<Op::kGreaterEqual>},
      {">=", {"other"}, 1, Compared<Op::kGreaterEqual>},
  };
  return FindIn(kTests, name);
}

}  // namespace weft::jinja
