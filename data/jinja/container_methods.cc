// The methods of dicts, lists and `loop` that change nothing; the sandbox refuses the others, and so do we.
#include "data/jinja/function.h"

namespace weft::jinja {
namespace {

StatusOr<Value> Refuse(Invocation&) { return UserError("templates may not change the values they are given"); }

StatusOr<Value> KeysMethod(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> keys, ItemsOf(call.self));
  return MakeList(std::move(keys));
}

StatusOr<Value> ValuesMethod(Invocation& call) {
  std::vector<Value> values;
  for (const Dict::Entry& entry : call.self.AsDict()->entries) values.push_back(entry.value);
  return MakeList(std::move(values));
}

StatusOr<Value> ItemsMethod(Invocation& call) {
  std::vector<Value> items;
  for (const Dict::Entry& entry : call.self.AsDict()->entries) {
    WEFT_RETURN_IF_ERROR(call.budget.Allocate(entry.key.size() + sizeof(List)));
    WEFT_ASSIGN_OR_RETURN(Value pair, MakeList({Value(entry.key), entry.value}, /*is_tuple=*/true));
    items.push_back(std::move(pair));
  }
  return MakeList(std::move(items));
}

StatusOr<Value> GetMethod(Invocation& call) {
  const Text* key = call.args[0].AsText();
  const Value* value = key == nullptr ? nullptr : call.self.AsDict()->Find(key->bytes());
  if (value != nullptr) return *value;
  return call.Has(1) ? call.args[1] : Value();
}

StatusOr<Value> Copy(Invocation& call) { return call.self; }

StatusOr<Value> IndexMethod(Invocation& call) {
  const std::vector<Value>& items = call.self.AsList()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(items[i], call.args[0], call.budget));
    if (equal) return Value(static_cast<int64_t>(i));
  }
  return UserError("the value is not in the list");
}

StatusOr<Value> CountMethod(Invocation& call) {
  int64_t count = 0;
  for (const Value& item : call.self.AsList()->items) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(item, call.args[0], call.budget));
    count += equal;
  }
  return Value(count);
}

// loop.cycle(a, b, ...): one after another, turn by turn.
StatusOr<Value> CycleMethod(Invocation& call) {
  const std::vector<Value>& values = call.rest.positional;
  if (values.empty()) return UserError("wants at least one value");
  return values[call.self.AsLoop()->index0 % values.size()];
}

Builtin Refused(std::string_view name) { return {name, {}, 0, Refuse, /*takes_more=*/true}; }

}  // namespace

const Builtin* FindDictMethod(std::string_view name) {
  static const std::vector<Builtin> kMethods = {
      {"keys", {}, 0, KeysMethod},       {"values", {}, 0, ValuesMethod}, {"items", {}, 0, ItemsMethod},
      {"get", {"key", "default"}, 1, GetMethod}, {"copy", {}, 0, Copy},
      Refused("clear"), Refused("pop"), Refused("popitem"), Refused("setdefault"), Refused("update"),
  };
  return FindIn(kMethods, name);
}

const Builtin* FindListMethod(std::string_view name) {
  static const std::vector<Builtin> kMethods = {
      {"index", {"value"}, 1, IndexMethod}, {"count", {"value"}, 1, CountMethod}, {"copy", {}, 0, Copy},
      Refused("append"), Refused("clear"), Refused("extend"), Refused("insert"), Refused("pop"),
      Refused("remove"), Refused("reverse"), Refused("sort"),
  };
  return FindIn(kMethods, name);
}

const Builtin* FindLoopMethod(std::string_view name) {
  static const std::vector<Builtin> kMethods = {{"cycle", {}, 0, CycleMethod, /*takes_more=*/true}};
  return FindIn(kMethods, name);
}

}  // namespace weft::jinja
