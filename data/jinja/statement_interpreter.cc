// Statements to text.
#include "absl/cleanup/cleanup.h"
#include "absl/strings/cord.h"
#include "data/jinja/interpreter.h"
#include "data/jinja/printing.h"

namespace weft::jinja {
namespace {

constexpr char kHasPlace[] = "weft/template-line";  // payload of an error whose message names its line

}  // namespace

Status Interpreter::Placed(const Status& status, int line) const {
  if (status.ok() || status.GetPayload(kHasPlace).has_value()) return status;
  Status placed = WithContext(status, StrCat(name_, ":", line));
  placed.SetPayload(kHasPlace, absl::Cord());
  return placed;
}

StatusOr<Text> Interpreter::Run(const Block& block, Scope& variables) {
  StatusOr<Text> text = Capture(block, variables);
  if (!text.ok()) return Status(text.status().code(), text.status().message());  // without the payload
  return text;
}

StatusOr<Interpreter::Flow> Interpreter::Execute(const Block& block, Scope& scope) {
  for (const Statement& statement : block) {
    WEFT_ASSIGN_OR_RETURN(const Flow flow, Execute(statement, scope));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Execute(const Statement& statement, Scope& scope) {
  ++depth_;
  const absl::Cleanup leave = [this] { --depth_; };
  WEFT_RETURN_IF_ERROR(Placed(CheckDepth(), statement.line));
  WEFT_RETURN_IF_ERROR(Placed(budget_.Step(), statement.line));
  StatusOr<Flow> flow = std::visit([&](const auto& node) { return Run(node, scope); }, statement.node);
  if (!flow.ok()) return Placed(flow.status(), statement.line);
  return flow;
}

Status Interpreter::Write(const Text& text) {
  WEFT_RETURN_IF_ERROR(budget_.Allocate(text.size()));
  out_->Append(text);
  return absl::OkStatus();
}

StatusOr<Text> Interpreter::Capture(const Block& block, Scope& scope) {
  Text text;
  Text* const before = std::exchange(out_, &text);
  const StatusOr<Flow> flow = Execute(block, scope);
  out_ = before;
  if (!flow.ok()) return flow.status();
  if (*flow != Flow::kNext) return UserError(name_, ": 'break' or 'continue' outside a loop");
  return text;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const Output& output, Scope&) {
  WEFT_RETURN_IF_ERROR(Write(output.text));
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const Print& print, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value value, Evaluate(*print.value, scope));
  if (undefineds_ == Undefineds::kRefuse) WEFT_RETURN_IF_ERROR(CheckDefined(value));
  if (value.AsText() != nullptr) {
    WEFT_RETURN_IF_ERROR(Write(*value.AsText()));
  } else {
    WEFT_ASSIGN_OR_RETURN(const Text text, ToText(value, budget_));
    WEFT_RETURN_IF_ERROR(Write(text));
  }
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const If& statement, Scope& scope) {
  for (const If::Branch& branch : statement.branches) {
    if (branch.condition != nullptr) {
      WEFT_ASSIGN_OR_RETURN(const Value condition, Evaluate(*branch.condition, scope));
      if (!condition.IsTrue()) continue;
    }
    return Execute(branch.body, scope);
  }
  return Flow::kNext;
}

// The items that pass the loop's `if`: `loop` counts only those.
StatusOr<std::vector<Value>> Interpreter::LoopItems(const For& loop, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const Value iterable, Evaluate(*loop.iterable, scope));
  WEFT_RETURN_IF_ERROR(budget_.Allocate(iterable.shallow_bytes() * (iterable.AsText() != nullptr ? sizeof(Text) : 1)));
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(iterable));
  if (loop.condition == nullptr) return items;
  std::vector<Value> passing;
  for (Value& item : items) {
    Scope inner(&scope);
    WEFT_RETURN_IF_ERROR(Assign(loop.target, item, inner));
    WEFT_ASSIGN_OR_RETURN(const Value passes, Evaluate(*loop.condition, inner));
    if (passes.IsTrue()) passing.push_back(std::move(item));
  }
  return passing;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const For& statement, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, LoopItems(statement, scope));
  Loop loop{items, 0, loop_depth_++};
  const absl::Cleanup leave = [this] { --loop_depth_; };
  for (; loop.index0 < items.size(); ++loop.index0) {
    WEFT_RETURN_IF_ERROR(budget_.Step());
    Scope inner(&scope);
    inner.Set("loop", Value(&loop));
    WEFT_RETURN_IF_ERROR(Assign(statement.target, items[loop.index0], inner));
    WEFT_ASSIGN_OR_RETURN(const Flow flow, Execute(statement.body, inner));
    if (flow == Flow::kBreak) break;
  }
  if (!items.empty()) return Flow::kNext;
  Scope inner(&scope);
  return Execute(statement.otherwise, inner);
}

Status Interpreter::Assign(const Target& target, Value value, Scope& scope) {
  if (!target.attribute.empty()) {
    const Value* object = scope.Find(target.names[0]);
    Namespace* ns = object == nullptr ? nullptr : object->AsNamespace();
    if (ns == nullptr) return UserError("'", target.names[0], "' is no namespace: only their attributes can be set");
    WEFT_RETURN_IF_ERROR(CheckMayBeHeld(value));
    ns->attributes[target.attribute] = std::move(value);
    return absl::OkStatus();
  }
  if (!target.is_tuple) {
    scope.Set(target.names[0], std::move(value));
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> parts, ItemsOf(value));
  if (parts.size() != target.names.size()) {
    return UserError("cannot unpack ", parts.size(), " values into ", target.names.size(), " variables");
  }
  for (size_t i = 0; i < parts.size(); ++i) scope.Set(target.names[i], std::move(parts[i]));
  return absl::OkStatus();
}

StatusOr<Interpreter::Flow> Interpreter::Run(const Set& set, Scope& scope) {
  WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*set.value, scope));
  WEFT_RETURN_IF_ERROR(Assign(set.target, std::move(value), scope));
  return Flow::kNext;
}

StatusOr<Value> Interpreter::ApplyFilters(const std::vector<FilterCall>& filters, Value input, Scope& scope) {
  for (const FilterCall& filter : filters) {
    WEFT_ASSIGN_OR_RETURN(input, ApplyFilter(filter, std::move(input), scope));
  }
  return input;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const SetBlock& set, Scope& scope) {
  Scope inner(&scope);
  WEFT_ASSIGN_OR_RETURN(Text text, Capture(set.body, inner));
  WEFT_ASSIGN_OR_RETURN(Value value, ApplyFilters(set.filters, Value(std::move(text)), scope));
  WEFT_RETURN_IF_ERROR(Assign(set.target, std::move(value), scope));
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const MacroDefinition& macro, Scope& scope) {
  Function function{.builtin = nullptr, .self = Value(), .macro = &macro, .scope = &scope};
  scope.Set(macro.name, Value(std::shared_ptr<const Function>(std::make_shared<Function>(std::move(function)))));
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const CallBlock& block, Scope& scope) {
  const Call& call = std::get<Call>(block.call->node);
  WEFT_ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.callee, scope));
  WEFT_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments, scope));
  Function caller{.builtin = nullptr, .self = Value(), .macro = &block.caller, .scope = &scope};
  arguments.named.emplace_back("caller",
                               Value(std::shared_ptr<const Function>(std::make_shared<Function>(std::move(caller)))));
  WEFT_ASSIGN_OR_RETURN(const Value result, CallFunction(callee, std::move(arguments)));
  WEFT_ASSIGN_OR_RETURN(const Text text, ToText(result, budget_));
  WEFT_RETURN_IF_ERROR(Write(text));
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const FilterBlock& block, Scope& scope) {
  Scope inner(&scope);
  WEFT_ASSIGN_OR_RETURN(Text body, Capture(block.body, inner));
  WEFT_ASSIGN_OR_RETURN(const Value value, ApplyFilters(block.filters, Value(std::move(body)), scope));
  WEFT_ASSIGN_OR_RETURN(const Text text, ToText(value, budget_));
  WEFT_RETURN_IF_ERROR(Write(text));
  return Flow::kNext;
}

StatusOr<Interpreter::Flow> Interpreter::Run(const With& with, Scope& scope) {
  Scope inner(&scope);
  for (const auto& [name, expression] : with.variables) {
    WEFT_ASSIGN_OR_RETURN(Value value, Evaluate(*expression, scope));
    inner.Set(name, std::move(value));
  }
  return Execute(with.body, inner);
}

StatusOr<Interpreter::Flow> Interpreter::Run(const Generation& generation, Scope& scope) {
  Scope inner(&scope);
  WEFT_ASSIGN_OR_RETURN(Text text, Capture(generation.body, inner));
  text.MarkGeneration();
  WEFT_RETURN_IF_ERROR(Write(text));
  return Flow::kNext;
}

}  // namespace weft::jinja
