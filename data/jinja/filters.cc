// The filters that turn one value into another: text | trim, value | tojson, value | default('x').
#include <cmath>
#include <cstdlib>

#include "data/jinja/function.h"
#include "data/jinja/letter_case.h"
#include "data/jinja/operators.h"
#include "data/jinja/printing.h"
#include "data/jinja/sequence_filters.h"
#include "data/jinja/text_editing.h"

namespace weft::jinja {
namespace {

// Filters of text take any value, as its str().
StatusOr<Text> SelfText(const Invocation& call) { return ToText(call.self, call.budget); }

StatusOr<Value> Trim(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text text, SelfText(call));
  if (!call.Has(0) || call.args[0].is_none()) return Value(Strip(text, std::nullopt, Sides::kBoth));
  WEFT_ASSIGN_OR_RETURN(const Text* characters, call.TextArg(0));
  return Value(Strip(text, characters->bytes(), Sides::kBoth));
}

template <Text (*change)(const Text&)>
StatusOr<Value> Case(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text text, SelfText(call));
  return Value(change(text));
}

StatusOr<Value> String(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(Text text, SelfText(call));
  return Value(std::move(text));
}

StatusOr<Value> ReplaceFilter(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text text, SelfText(call));
  WEFT_ASSIGN_OR_RETURN(const Text old_text, ToText(call.args[0], call.budget));
  WEFT_ASSIGN_OR_RETURN(const Text new_text, ToText(call.args[1], call.budget));
  int64_t count = -1;
  if (call.Has(2) && !call.args[2].is_none()) {
    WEFT_ASSIGN_OR_RETURN(count, call.IntArg(2, -1));
  }
  WEFT_ASSIGN_OR_RETURN(Text result, Replace(text, old_text.bytes(), new_text, count, call.budget));
  return Value(std::move(result));
}

// Blanks before every line but the first; `first` and `blank`: before the first and before empty ones too.
StatusOr<Value> Indent(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(Text text, SelfText(call));
  Text blanks;
  if (call.Has(0) && call.args[0].AsText() != nullptr) {
    blanks = *call.args[0].AsText();
  } else {
    WEFT_ASSIGN_OR_RETURN(const int64_t width, call.IntArg(0, 4));
    if (width > 1000) return UserError("a width of ", width);
    blanks = Text(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '));
  }
  const bool first = call.Has(1) && call.args[1].IsTrue(), blank = call.Has(2) && call.args[2].IsTrue();
  text.Append("\n");
  const std::vector<Text> lines = SplitLines(text);
  Text result;
  for (size_t i = 0; i < lines.size(); ++i) {
    WEFT_RETURN_IF_ERROR(call.budget.Allocate(lines[i].size() + blanks.size()));
    if (i > 0) result.Append("\n");
    if (i == 0 ? first : blank || !lines[i].empty()) result.Append(blanks);
    result.Append(lines[i]);
  }
  return Value(std::move(result));
}

StatusOr<std::string> IndentOfLevel(const Value& indent) {
  if (indent.AsText() != nullptr) return indent.AsText()->bytes();
  WEFT_ASSIGN_OR_RETURN(const int64_t width, ToInteger(indent, "indent"));
  if (width > 1000) return UserError("an indent of ", width);
  return std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
}

StatusOr<Value> ToJsonFilter(Invocation& call) {
  JsonStyle style;
  style.ensure_ascii = call.Has(0) && call.args[0].IsTrue();
  if (call.Has(1) && !call.args[1].is_none()) {
    WEFT_ASSIGN_OR_RETURN(style.indent, IndentOfLevel(call.args[1]));
  }
  if (call.Has(2) && !call.args[2].is_none()) {
    const List* pair = call.args[2].AsList();
    const bool is_pair = pair != nullptr && pair->items.size() == 2 && pair->items[0].AsText() != nullptr &&
                         pair->items[1].AsText() != nullptr;
    if (!is_pair) {
      return UserError("separators: expected a pair of str");
    }
    style.item_separator = pair->items[0].AsText()->bytes();
    style.key_separator = pair->items[1].AsText()->bytes();
  }
  style.sort_keys = call.Has(3) && call.args[3].IsTrue();
  WEFT_ASSIGN_OR_RETURN(Text json, ToJson(call.self, style, call.budget));
  return Value(std::move(json));
}

StatusOr<Value> Default(Invocation& call) {
  const bool replaces_false = call.Has(1) && call.args[1].IsTrue();
  const bool absent = call.self.is_undefined() || (replaces_false && !call.self.IsTrue());
  if (!absent) return call.self;
  return call.Has(0) ? call.args[0] : Value("");
}

// The number a text begins with, if that is all of it but white space.
bool ParseNumber(const Text& text, double* number) {
  const std::string digits = Strip(text, std::nullopt, Sides::kBoth).bytes();
  char* end = nullptr;
  *number = std::strtod(digits.c_str(), &end);
  return !digits.empty() && end == digits.c_str() + digits.size() && digits.find_first_of("xX") == std::string::npos;
}

StatusOr<Value> Int(Invocation& call) {
  const Value absent = call.Has(0) ? call.args[0] : Value(int64_t{0});
  if (call.self.AsInt() != nullptr || call.self.AsBool() != nullptr) {
    WEFT_ASSIGN_OR_RETURN(const int64_t value, ToInteger(call.self, ""));
    return Value(value);
  }
  WEFT_RETURN_IF_ERROR(CheckDefined(call.self));
  double number = 0;
  if (call.self.AsFloat() != nullptr) {
    number = *call.self.AsFloat();
  } else if (call.self.AsText() == nullptr || !ParseNumber(*call.self.AsText(), &number)) {
    return absent;
  }
  if (!(std::abs(number) < 9e15)) return UserError("no integer that a double holds exactly");
  return Value(static_cast<int64_t>(number));
}

StatusOr<Value> Float(Invocation& call) {
  WEFT_RETURN_IF_ERROR(CheckDefined(call.self));
  double number = 0;
  if (call.self.AsText() != nullptr && ParseNumber(*call.self.AsText(), &number)) return Value(number);
  if (!call.self.is_number()) return call.Has(0) ? call.args[0] : Value(0.0);
  WEFT_ASSIGN_OR_RETURN(number, ToDouble(call.self));
  return Value(number);
}

StatusOr<Value> Absolute(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const double value, ToDouble(call.self));
  return value < 0 ? ApplyUnary(UnaryOperator::kNegative, call.self) : ApplyUnary(UnaryOperator::kPositive, call.self);
}

StatusOr<Value> Length(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const int64_t length, LengthOf(call.self));
  return Value(length);
}

// Nothing is escaped in chat templates, so what is safe is what it was.
StatusOr<Value> Safe(Invocation& call) { return String(call); }

}  // namespace

const Builtin* FindFilter(std::string_view name) {
  static const std::vector<Builtin> kFilters = {
      {"trim", {"chars"}, 0, Trim},
      {"upper", {}, 0, Case<UpperCase>},
      {"lower", {}, 0, Case<LowerCase>},
      {"title", {}, 0, Case<TitleCaseOfWords>},
      {"capitalize", {}, 0, Case<CapitalizeCase>},
      {"string", {}, 0, String},
      {"safe", {}, 0, Safe},
      {"replace", {"old", "new", "count"}, 2, ReplaceFilter},
      {"indent", {"width", "first", "blank"}, 0, Indent},
      {"tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0, ToJsonFilter},
      {"default", {"default_value", "boolean"}, 0, Default},
      {"d", {"default_value", "boolean"}, 0, Default},
      {"int", {"default"}, 0, Int},
      {"float", {"default"}, 0, Float},
      {"abs", {}, 0, Absolute},
      {"length", {}, 0, Length},
      {"count", {}, 0, Length},
  };
  const Builtin* filter = FindIn(kFilters, name);
  return filter != nullptr ? filter : FindSequenceFilter(name);
}

}  // namespace weft::jinja
