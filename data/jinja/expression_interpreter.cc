// Expressions to values.
#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "data/jinja/interpreter.h"
#include "data/jinja/operators.h"

namespace weft::jinja {

const Value* Scope::Find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
    const auto found = scope->variables_.find(ToAbsl(name));
    if (found != scope->variables_.end()) return &found->second;
  }
  return nullptr;
}

Status Interpreter::CheckDepth() const {
  if (depth_ <= kMaxCallDepth) return absl::OkStatus();
  return UserError("more than ", kMaxCallDepth,
                   " calls and expressions inside one another: does a macro call itself for ever?");
}

StatusOr<Value> Interpreter::Evaluate(const Expression& expression, Scope& scope) {
  ++depth_;
  const absl::Cleanup leave = [this] { --depth_; };
  WEFT_RETURN_IF_ERROR(Placed(CheckDepth(), expression.line));
  WEFT_RETURN_IF_ERROR(Placed(budget_.Step(), expression.line));
  StatusOr<Value> value = std::visit([&](const auto& node) { return Get(node, scope); }, expression.node);
  if (!value.ok()) return Placed(value.status(), expression.line);
  return value;
}

StatusOr<Value> Interpreter::Get(const Constant& constant, Scope&) { return constant.value; }

StatusOr<Value> Interpreter::Get(const Name& name, Scope& scope) {
  if (const Value* value = scope.Find(name.name); value != nullptr) return *value;
  if (const Builtin* global = FindGlobal(name.name); global != nullptr) {
    return Value(std::shared_ptr<const Function>(std::make_shared<Function>(Function{global, Value()})));
  }
  const std::string reason = StrCat("'", name.name, "' is undefined");
  if (undefineds_ == Undefineds::kRefuse) return UserError(reason);
  return Value::MakeUndefined(reason);
}

StatusOr<Value> Interpreter::Get(const ListLiteral& list, Scope& scope) {
  std::vector<Value> items;
  for (const ExpressionPtr& item : list.items) {
    WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*item, scope));
    items.push_back(std::move(value));
  }
  WEFT_RETURN_IF_ERROR(budget_.Allocate(items.size() * sizeof(Value)));
  return MakeList(std::move(items), list.is_tuple);
}

StatusOr<Value> Interpreter::Get(const DictLiteral& literal, Scope& scope) {
  Dict dict;
  for (const auto& [key_expression, value_expression] : literal.entries) {
    WEFT_ASSIGN_OR_RETURN(const Value key, Evaluate(*key_expression, scope));
    WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*value_expression, scope));
    if (key.AsText() == nullptr) return UserError("the keys of a dict are strings here, not a ", key.TypeName());
    WEFT_RETURN_IF_ERROR(budget_.Allocate(key.shallow_bytes() + 2 * sizeof(Dict::Entry)));
    dict.Set(*key.AsText(), std::move(value));
  }
  return MakeDict(std::move(dict));
}

StatusOr<Value> Interpreter::Get(const Attribute& attribute, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value object, Evaluate(*attribute.object, scope));
  return GetAttribute(object, attribute.name);
}

StatusOr<Value> Interpreter::Get(const Item& item, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value object, Evaluate(*item.object, scope));
  WEFT_ASSIGN_OR_RETURN(const Value key, Evaluate(*item.key, scope));
  WEFT_RETURN_IF_ERROR(budget_.Step(static_cast<int64_t>(object.AsText() != nullptr ? object.shallow_bytes() / 16 : 0)));
  return GetItem(object, key);
}

StatusOr<Value> Interpreter::Get(const Slice& slice, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value object, Evaluate(*slice.object, scope));
  Value bounds[3];
  const ExpressionPtr* expressions[3] = {&slice.start, &slice.stop, &slice.step};
  for (int i = 0; i < 3; ++i) {
    if (*expressions[i] == nullptr) continue;
    WEFT_ASSIGN_OR_RETURN(bounds[i], Evaluate(**expressions[i], scope));
  }
  WEFT_RETURN_IF_ERROR(budget_.Allocate(object.shallow_bytes()));
  return GetSlice(object, bounds[0], bounds[1], bounds[2]);
}

StatusOr<Arguments> Interpreter::EvaluateArguments(const ArgumentList& list, Scope& scope) {
  Arguments arguments;
  for (const ExpressionPtr& expression : list.positional) {
    WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*expression, scope));
    arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, expression] : list.named) {
    WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*expression, scope));
    arguments.named.emplace_back(name, std::move(value));
  }
  return arguments;
}

StatusOr<Value> Interpreter::Get(const Call& call, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.callee, scope));
  WEFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments, scope));
  return CallFunction(callee, std::move(arguments));
}

StatusOr<Value> Interpreter::CallFunction(const Value& callee, Arguments arguments) {
  WEFT_RETURN_IF_ERROR(CheckDefined(callee));
  const Function* function = callee.AsFunction();
  if (function == nullptr) return UserError("a ", callee.TypeName(), " cannot be called");
  if (function->macro != nullptr) return CallMacro(*function, std::move(arguments));
  return CallBuiltin(*function->builtin, function->self, std::move(arguments), budget_, now_);
}

// The argument `caller` is what {% call %} hands in, whether or not the macro names it.
StatusOr<Value> Interpreter::CallMacro(const Function& function, Arguments arguments) {
  const MacroDefinition& macro = *function.macro;
  const std::vector<Parameter>& parameters = macro.parameters;
  if (arguments.positional.size() > parameters.size()) {
    return UserError("the macro '", macro.name, "' takes at most ", parameters.size(), " arguments, not ",
                     arguments.positional.size());
  }
  Scope scope(function.scope);
  for (auto& [name, value] : arguments.named) {
    const auto is_it = [&](const Parameter& parameter) { return parameter.name == name; };
    const auto parameter = std::find_if(parameters.begin(), parameters.end(), is_it);
    if (parameter == parameters.end() && name != "caller") {
      return UserError("the macro '", macro.name, "' has no argument '", name, "'");
    }
    if (parameter - parameters.begin() < static_cast<ptrdiff_t>(arguments.positional.size())) {
      return UserError("the macro '", macro.name, "': the argument '", name, "' is given twice");
    }
    scope.Set(name, value);
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters[i].name;
    const auto is_it = [&](const auto& argument) { return argument.first == name; };
    if (i < arguments.positional.size()) {
      scope.Set(name, std::move(arguments.positional[i]));
    } else if (std::any_of(arguments.named.begin(), arguments.named.end(), is_it)) {
      continue;
    } else if (parameters[i].absent != nullptr) {
      WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*parameters[i].absent, scope));
      scope.Set(name, std::move(value));
    } else {
      scope.Set(name, Value::MakeUndefined(StrCat("the argument '", name, "' of the macro was not given")));
    }
  }
  WEFT_ASSIGN_OR_RETURN(Text text, Capture(macro.body, scope));
  return Value(std::move(text));
}

StatusOr<Value> Interpreter::ApplyFilter(const FilterCall& filter, Value input, Scope& scope) {
  const Builtin* builtin = FindFilter(filter.name);
  if (builtin == nullptr) return UserError("there is no filter '", filter.name, "'");
  WEFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(filter.arguments, scope));
  return CallBuiltin(*builtin, std::move(input), std::move(arguments), budget_, now_);
}

StatusOr<Value> Interpreter::Get(const FilterCall& filter, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(Value input, Evaluate(*filter.input, scope));
  return ApplyFilter(filter, std::move(input), scope);
}

StatusOr<Value> Interpreter::Get(const TestCall& test, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(Value input, Evaluate(*test.input, scope));
  const Builtin* builtin = FindTest(test.name);
  if (builtin == nullptr) return UserError("there is no test '", test.name, "'");
  WEFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(test.arguments, scope));
  return CallBuiltin(*builtin, std::move(input), std::move(arguments), budget_, now_);
}

StatusOr<Value> Interpreter::Get(const Unary& unary, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value operand, Evaluate(*unary.operand, scope));
  return ApplyUnary(unary.op, operand);
}

StatusOr<Value> Interpreter::Get(const Binary& binary, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(Value left, Evaluate(*binary.left, scope));
  if (binary.op == BinaryOperator::kAnd && !left.IsTrue()) return left;
  if (binary.op == BinaryOperator::kOr && left.IsTrue()) return left;
  WEFT_ASSIGN_OR_RETURN(Value right, Evaluate(*binary.right, scope));
  if (binary.op == BinaryOperator::kAnd || binary.op == BinaryOperator::kOr) return right;
  return ApplyBinary(binary.op, left, right, budget_);
}

StatusOr<Value> Interpreter::Get(const Comparison& comparison, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(Value left, Evaluate(*comparison.first, scope));
  for (const auto& [op, expression] : comparison.rest) {
    WEFT_ASSIGN_OR_RETURN(Value right, Evaluate(*expression, scope));
    WEFT_ASSIGN_OR_RETURN(const bool holds, ApplyComparison(op, left, right, budget_));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

StatusOr<Value> Interpreter::Get(const Conditional& conditional, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value condition, Evaluate(*conditional.condition, scope));
  if (condition.IsTrue()) return Evaluate(*conditional.then, scope);
  if (conditional.otherwise != nullptr) return Evaluate(*conditional.otherwise, scope);
  return Value::MakeUndefined("an 'if' without an 'else' whose condition is false has no value");
}

}  // namespace weft::jinja
