// The functions every chat template may call: Jinja's range, dict and namespace, and those that Hugging Face adds.
#include <vector>

#include "data/jinja/function.h"
#include "data/jinja/printing.h"

namespace weft::jinja {
namespace {

StatusOr<Value> Range(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const int64_t first, call.IntArg(0, 0));
  const bool has_start = call.Has(1);
  WEFT_ASSIGN_OR_RETURN(const int64_t second, call.IntArg(1, 0));
  WEFT_ASSIGN_OR_RETURN(const int64_t step, call.IntArg(2, 1));
  const int64_t start = has_start ? first : 0, stop = has_start ? second : first;
  if (step == 0) return UserError("a step of 0");
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange) return UserError("more than ", kMaxRange, " numbers");
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return MakeList(std::move(items));
}

// The entries of a dict or of a list of pairs, and keyword arguments.
StatusOr<Dict> Entries(Invocation& call) {
  Dict dict;
  if (call.Has(0)) {
    if (call.args[0].AsDict() != nullptr) {
      dict = *call.args[0].AsDict();
    } else {
      WEFT_ASSIGN_OR_RETURN(const std::vector<Value> pairs, ItemsOf(call.args[0]));
      for (const Value& pair : pairs) {
        const List* list = pair.AsList();
        if (list == nullptr || list->items.size() != 2 || list->items[0].AsText() == nullptr) {
          return UserError("expected pairs of a str and a value");
        }
        dict.Set(*list->items[0].AsText(), list->items[1]);
      }
    }
  }
  for (auto& [name, value] : call.rest.named) dict.Set(Text(name), std::move(value));
  if (!call.rest.positional.empty()) return UserError("takes one argument without a name");
  return dict;
}

StatusOr<Value> MakeDictGlobal(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(Dict dict, Entries(call));
  return MakeDict(std::move(dict));
}

StatusOr<Value> MakeNamespace(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(Dict dict, Entries(call));
  auto ns = std::make_shared<Namespace>();
  for (Dict::Entry& entry : dict.entries) {
    WEFT_RETURN_IF_ERROR(CheckMayBeHeld(entry.value));
    ns->attributes[entry.key.bytes()] = std::move(entry.value);
  }
  return Value(std::move(ns));
}

StatusOr<Value> RaiseException(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text message, ToText(call.args[0], call.budget));
  return UserError(message.bytes());
}

StatusOr<Value> StrftimeNow(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const Text* format, call.TextArg(0));
  if (format->empty()) return Value("");
  std::tm local{};
  ::localtime_r(&call.now, &local);
  char text[1024];
  const size_t length = std::strftime(text, sizeof(text), format->bytes().c_str(), &local);
  if (length == 0) return UserError("the format '", format->bytes(), "' gives nothing, or too much");
  return Value(std::string_view(text, length));
}

}  // namespace

const Builtin* FindGlobal(std::string_view name) {
  static const std::vector<Builtin> kGlobals = {
      {"range", {"start", "stop", "step"}, 1, Range},
      {"dict", {"entries"}, 0, MakeDictGlobal, /*takes_more=*/true},
      {"namespace", {"entries"}, 0, MakeNamespace, /*takes_more=*/true},
      {"raise_exception", {"message"}, 0, RaiseException},
      {"strftime_now", {"format"}, 1, StrftimeNow},
  };
  return FindIn(kGlobals, name);
}

}  // namespace weft::jinja
