// Functions that templates call: filters, tests, methods and globals are one kind of thing here, described by a table
// row each; macros are the template's own.
//
// A row names the parameters, so positional and keyword arguments, missing, surplus and unknown ones are handled in
// one place.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "data/jinja/value.h"

namespace weft::jinja {

struct MacroDefinition;
class Scope;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// One call of a built-in function.
struct Invocation {
  Value self;               // what the filter, test or method is applied to
  std::vector<Value> args;  // by parameter; undefined where not given
  Arguments rest;           // what the row's parameters do not name, where it takes more
  Budget& budget;
  std::time_t now;

  bool Has(size_t i) const { return !args[i].is_undefined(); }
  StatusOr<const Text*> TextArg(size_t i) const;
  StatusOr<int64_t> IntArg(size_t i, int64_t absent) const;
};

struct Builtin {
  std::string_view name;
  std::vector<std::string_view> parameters;
  size_t num_required = 0;  // of the parameters
  StatusOr<Value> (*call)(Invocation& call);
  bool takes_more = false;
};

struct Function {
  const Builtin* builtin = nullptr;  // or a macro
  Value self;
  const MacroDefinition* macro = nullptr;
  Scope* scope = nullptr;  // the macro was defined in
};

// Null where there is none of this name.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);
const Builtin* FindGlobal(std::string_view name);
const Builtin* FindTextMethod(std::string_view name);
const Builtin* FindDictMethod(std::string_view name);
const Builtin* FindListMethod(std::string_view name);
const Builtin* FindLoopMethod(std::string_view name);

// Binds the arguments and calls; the result's memory is charged to the budget. Errors name the function.
StatusOr<Value> CallBuiltin(const Builtin& builtin, Value self, Arguments arguments, Budget& budget, std::time_t now);

// The row of `name` in a table, or null.
const Builtin* FindIn(absl::Span<const Builtin> table, std::string_view name);

}  // namespace weft::jinja
