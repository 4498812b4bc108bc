// Binding arguments to the parameters of a table row.
#include "data/jinja/function.h"

#include <algorithm>

namespace weft::jinja {

StatusOr<const Text*> Invocation::TextArg(size_t i) const {
  if (args[i].AsText() != nullptr) return args[i].AsText();
  WEFT_RETURN_IF_ERROR(CheckDefined(args[i]));
  return UserError("expected a str, found ", args[i].TypeName());
}

StatusOr<int64_t> Invocation::IntArg(size_t i, int64_t absent) const {
  if (!Has(i)) return absent;
  return ToInteger(args[i], "argument");
}

const Builtin* FindIn(absl::Span<const Builtin> table, std::string_view name) {
  const auto row = std::find_if(table.begin(), table.end(), [&](const Builtin& b) { return b.name == name; });
  return row == table.end() ? nullptr : &*row;
}

namespace {

Status Bind(const Builtin& builtin, Arguments arguments, Invocation* call) {
  const size_t num_parameters = builtin.parameters.size();
  call->args.assign(num_parameters, Value::MakeUndefined("an argument was not given"));
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    Value& argument = arguments.positional[i];
    if (i < num_parameters) {
      call->args[i] = std::move(argument);
    } else if (builtin.takes_more) {
      call->rest.positional.push_back(std::move(argument));
    } else {
      return UserError("takes at most ", num_parameters, " arguments, not ", arguments.positional.size());
    }
  }
  for (auto& [name, argument] : arguments.named) {
    const auto parameter = std::find(builtin.parameters.begin(), builtin.parameters.end(), name);
    if (parameter != builtin.parameters.end()) {
      const size_t i = static_cast<size_t>(parameter - builtin.parameters.begin());
      if (i < arguments.positional.size()) return UserError("the argument '", name, "' is given twice");
      call->args[i] = std::move(argument);
    } else if (builtin.takes_more) {
      call->rest.named.emplace_back(name, std::move(argument));
    } else {
      return UserError("has no argument '", name, "'");
    }
  }
  for (size_t i = arguments.positional.size(); i < builtin.num_required; ++i) {
    if (!call->Has(i)) return UserError("wants the argument '", builtin.parameters[i], "'");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Value> CallBuiltin(const Builtin& builtin, Value self, Arguments arguments, Budget& budget, std::time_t now) {
  Invocation call{std::move(self), {}, {}, budget, now};
  Status bound = Bind(builtin, std::move(arguments), &call);
  if (!bound.ok()) return WithContext(bound, builtin.name);
  StatusOr<Value> result = builtin.call(call);
  if (!result.ok()) return WithContext(result.status(), builtin.name);
  WEFT_RETURN_IF_ERROR(budget.Allocate(result->shallow_bytes()));
  return result;
}

}  // namespace weft::jinja
