// Interpreter: runs a template's syntax tree over variables and writes text.
//
// Scoping is Jinja's: loops, macros and blocks that capture have scopes of their own, `if` has none; a macro sees the
// scope it was defined in as it is when the macro is called.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "data/jinja/function.h"
#include "data/jinja/syntax_tree.h"

namespace weft::jinja {

class Scope {
 public:
  explicit Scope(const Scope* parent) : parent_(parent) {}
  const Value* Find(std::string_view name) const;  // in this scope or those around it
  void Set(std::string_view name, Value value) { variables_[ToAbsl(name)] = std::move(value); }

 private:
  const Scope* parent_;
  absl::flat_hash_map<std::string, Value> variables_;
};

// What a name stands for that nobody set, when it is used or printed: nothing, as in chat templates, or an error.
enum class Undefineds { kPrintNothing, kRefuse };

class Interpreter {
 public:
  // `name` of the template stands in errors: "name:line: ...". `now` is what strftime_now tells.
  Interpreter(std::string_view name, Budget& budget, std::time_t now, Undefineds undefineds = Undefineds::kPrintNothing)
      : name_(name), budget_(budget), now_(now), undefineds_(undefineds) {}

  StatusOr<Text> Run(const Block& block, Scope& variables);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // Statements (statement_interpreter.cc).
  StatusOr<Flow> Execute(const Block& block, Scope& scope);
  StatusOr<Flow> Execute(const Statement& statement, Scope& scope);
  StatusOr<Flow> Run(const Output& output, Scope& scope);
  StatusOr<Flow> Run(const Print& print, Scope& scope);
  StatusOr<Flow> Run(const If& statement, Scope& scope);
  StatusOr<Flow> Run(const For& loop, Scope& scope);
  StatusOr<Flow> Run(const Set& set, Scope& scope);
  StatusOr<Flow> Run(const SetBlock& set, Scope& scope);
  StatusOr<Flow> Run(const MacroDefinition& macro, Scope& scope);
  StatusOr<Flow> Run(const CallBlock& block, Scope& scope);
  StatusOr<Flow> Run(const FilterBlock& block, Scope& scope);
  StatusOr<Flow> Run(const With& with, Scope& scope);
  StatusOr<Flow> Run(const Generation& generation, Scope& scope);
  StatusOr<Flow> Run(const Break&, Scope&) { return Flow::kBreak; }
  StatusOr<Flow> Run(const Continue&, Scope&) { return Flow::kContinue; }
  StatusOr<std::vector<Value>> LoopItems(const For& loop, Scope& scope);
  StatusOr<Text> Capture(const Block& block, Scope& scope);  // what it writes
  StatusOr<Value> ApplyFilters(const std::vector<FilterCall>& filters, Value input, Scope& scope);
  Status Assign(const Target& target, Value value, Scope& scope);
  Status Write(const Text& text);

  // Expressions (expression_interpreter.cc).
  StatusOr<Value> Evaluate(const Expression& expression, Scope& scope);
  StatusOr<Value> Get(const Constant& constant, Scope& scope);
  StatusOr<Value> Get(const Name& name, Scope& scope);
  StatusOr<Value> Get(const ListLiteral& list, Scope& scope);
  StatusOr<Value> Get(const DictLiteral& dict, Scope& scope);
  StatusOr<Value> Get(const Attribute& attribute, Scope& scope);
  StatusOr<Value> Get(const Item& item, Scope& scope);
  StatusOr<Value> Get(const Slice& slice, Scope& scope);
  StatusOr<Value> Get(const Call& call, Scope& scope);
  StatusOr<Value> Get(const FilterCall& filter, Scope& scope);
  StatusOr<Value> Get(const TestCall& test, Scope& scope);
  StatusOr<Value> Get(const Unary& unary, Scope& scope);
  StatusOr<Value> Get(const Binary& binary, Scope& scope);
  StatusOr<Value> Get(const Comparison& comparison, Scope& scope);
  StatusOr<Value> Get(const Conditional& conditional, Scope& scope);
  StatusOr<Arguments> EvaluateArguments(const ArgumentList& list, Scope& scope);
  StatusOr<Value> ApplyFilter(const FilterCall& filter, Value input, Scope& scope);
  StatusOr<Value> CallFunction(const Value& callee, Arguments arguments);
  StatusOr<Value> CallMacro(const Function& function, Arguments arguments);

  // An error gets the place of the innermost thing it happened in.
  Status Placed(const Status& status, int line) const;
  Status CheckDepth() const;

  std::string_view name_;
  Budget& budget_;
  std::time_t now_;
  const Undefineds undefineds_;
  Text* out_ = nullptr;  // where statements write
  int depth_ = 0;        // of what runs in what
  int64_t loop_depth_ = 0;
};

}  // namespace weft::jinja
