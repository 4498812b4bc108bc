// Python's rules for truth, equality, order and iteration, as far as values reach.
#include "data/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "data/jinja/function.h"
#include "data/utf8.h"

namespace weft::jinja {

Value Value::MakeUndefined(std::string reason) {
  Value value;
  value.value_ = Undefined{std::make_shared<const std::string>(std::move(reason))};
  return value;
}

const Loop* Value::AsLoop() const {
  const Loop* const* loop = std::get_if<const Loop*>(&value_);
  return loop == nullptr ? nullptr : *loop;
}

bool Value::IsTrue() const {
  if (is_none() || is_undefined()) return false;
  if (AsBool() != nullptr) return *AsBool();
  if (AsInt() != nullptr) return *AsInt() != 0;
  if (AsFloat() != nullptr) return *AsFloat() != 0;
  if (AsText() != nullptr) return !AsText()->empty();
  if (AsList() != nullptr) return !AsList()->items.empty();
  if (AsDict() != nullptr) return !AsDict()->entries.empty();
  return true;
}

std::string_view Value::TypeName() const {
  if (is_none()) return "None";
  if (is_undefined()) return "undefined";
  if (AsBool() != nullptr) return "bool";
  if (AsInt() != nullptr) return "int";
  if (AsFloat() != nullptr) return "float";
  if (AsText() != nullptr) return "str";
  if (AsList() != nullptr) return AsList()->is_tuple ? "tuple" : "list";
  if (AsDict() != nullptr) return "dict";
  if (AsNamespace() != nullptr) return "namespace";
  if (AsFunction() != nullptr) return "function";
  return "loop";
}

int Value::nesting() const {
  if (AsList() != nullptr) return AsList()->nesting;
  if (AsDict() != nullptr) return AsDict()->nesting;
  return 0;
}

size_t Value::shallow_bytes() const {
  if (AsText() != nullptr) return AsText()->size() + AsText()->marks().size() * sizeof(Text::Mark);
  if (AsList() != nullptr) return AsList()->items.size() * sizeof(Value);
  if (AsDict() != nullptr) return AsDict()->entries.size() * 2 * sizeof(Dict::Entry);
  return 0;
}

const Value* Dict::Find(std::string_view key) const {
  const auto found = index.find(ToAbsl(key));
  return found == index.end() ? nullptr : &entries[found->second].value;
}

void Dict::Set(Text key, Value value) {
  const auto [entry, is_new] = index.try_emplace(key.bytes(), entries.size());
  if (is_new) {
    entries.push_back({std::move(key), std::move(value)});
  } else {
    entries[entry->second].value = std::move(value);
  }
}

Status CheckMayBeHeld(const Value& value) {
  if (value.AsNamespace() == nullptr && value.AsFunction() == nullptr && value.AsLoop() == nullptr) {
    return absl::OkStatus();
  }
  return UserError("a ", value.TypeName(), " cannot be put into a list, a dict or a namespace");
}

namespace {

StatusOr<int> NestingOver(int deepest) {
  if (deepest < kMaxNesting) return deepest + 1;
  return UserError("lists and dicts nested more than ", kMaxNesting, " deep");
}

}  // namespace

StatusOr<Value> MakeList(std::vector<Value> items, bool is_tuple) {
  int deepest = 0;
  for (const Value& item : items) {
    WEFT_RETURN_IF_ERROR(CheckMayBeHeld(item));
    deepest = std::max(deepest, item.nesting());
  }
  auto list = std::make_shared<List>();
  WEFT_ASSIGN_OR_RETURN(list->nesting, NestingOver(deepest));
  list->items = std::move(items);
  list->is_tuple = is_tuple;
  return Value(std::shared_ptr<const List>(std::move(list)));
}

StatusOr<Value> MakeDict(Dict dict) {
  int deepest = 0;
  for (const Dict::Entry& entry : dict.entries) {
    WEFT_RETURN_IF_ERROR(CheckMayBeHeld(entry.value));
    deepest = std::max(deepest, entry.value.nesting());
  }
  WEFT_ASSIGN_OR_RETURN(dict.nesting, NestingOver(deepest));
  return Value(std::shared_ptr<const Dict>(std::make_shared<Dict>(std::move(dict))));
}

Status CheckDefined(const Value& value) {
  if (!value.is_undefined()) return absl::OkStatus();
  return UserError(value.undefined_reason());
}

StatusOr<double> ToDouble(const Value& value) {
  if (value.AsBool() != nullptr) return *value.AsBool() ? 1.0 : 0.0;
  if (value.AsInt() != nullptr) return static_cast<double>(*value.AsInt());
  if (value.AsFloat() != nullptr) return *value.AsFloat();
  WEFT_RETURN_IF_ERROR(CheckDefined(value));
  return UserError("expected a number, found ", value.TypeName());
}

StatusOr<int64_t> ToInteger(const Value& value, std::string_view what) {
  if (value.AsBool() != nullptr) return int64_t{*value.AsBool()};
  if (value.AsInt() != nullptr) return *value.AsInt();
  WEFT_RETURN_IF_ERROR(CheckDefined(value));
  return UserError(what, ": expected an integer, found ", value.TypeName());
}

namespace {

// Whole numbers are compared as such: above 2^53 doubles would make different ones equal.
bool IsWhole(const Value& value) { return value.AsBool() != nullptr || value.AsInt() != nullptr; }
int64_t Whole(const Value& value) { return value.AsInt() != nullptr ? *value.AsInt() : int64_t{*value.AsBool()}; }

int Sign(bool less, bool greater) { return greater - less; }

StatusOr<bool> ListsAreEqual(const List& a, const List& b, Budget& budget) {
  if (a.is_tuple != b.is_tuple || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(a.items[i], b.items[i], budget));
    if (!equal) return false;
  }
  return true;
}

StatusOr<bool> DictsAreEqual(const Dict& a, const Dict& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const Dict::Entry& entry : a.entries) {
    const Value* other = b.Find(entry.key.bytes());
    if (other == nullptr) return false;
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(entry.value, *other, budget));
    if (!equal) return false;
  }
  return true;
}

}  // namespace

StatusOr<bool> AreEqual(const Value& a, const Value& b, Budget& budget) {
  WEFT_RETURN_IF_ERROR(budget.Step());
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_number() && b.is_number()) {
    if (IsWhole(a) && IsWhole(b)) return Whole(a) == Whole(b);
    return *ToDouble(a) == *ToDouble(b);
  }
  if (a.AsText() != nullptr && b.AsText() != nullptr) return a.AsText()->bytes() == b.AsText()->bytes();
  if (a.AsList() != nullptr && b.AsList() != nullptr) return ListsAreEqual(*a.AsList(), *b.AsList(), budget);
  if (a.AsDict() != nullptr && b.AsDict() != nullptr) return DictsAreEqual(*a.AsDict(), *b.AsDict(), budget);
  if (a.AsNamespace() != nullptr) return a.AsNamespace() == b.AsNamespace();
  if (a.AsFunction() != nullptr) return a.AsFunction() == b.AsFunction();
  return a.AsLoop() != nullptr && a.AsLoop() == b.AsLoop();
}

StatusOr<int> CompareValues(const Value& a, const Value& b, Budget& budget) {
  WEFT_RETURN_IF_ERROR(budget.Step());
  WEFT_RETURN_IF_ERROR(CheckDefined(a));
  WEFT_RETURN_IF_ERROR(CheckDefined(b));
  if (IsWhole(a) && IsWhole(b)) return Sign(Whole(a) < Whole(b), Whole(a) > Whole(b));
  if (a.is_number() && b.is_number()) return Sign(*ToDouble(a) < *ToDouble(b), *ToDouble(a) > *ToDouble(b));
  if (a.AsText() != nullptr && b.AsText() != nullptr) {  // the order of UTF-8 bytes is that of code points
    const int order = a.AsText()->bytes().compare(b.AsText()->bytes());
    return Sign(order < 0, order > 0);
  }
  if (a.AsList() != nullptr && b.AsList() != nullptr && a.AsList()->is_tuple == b.AsList()->is_tuple) {
    const std::vector<Value>&left = a.AsList()->items, &right = b.AsList()->items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(left[i], right[i], budget));
      if (!equal) return CompareValues(left[i], right[i], budget);
    }
    return Sign(left.size() < right.size(), left.size() > right.size());
  }
  return UserError("a ", a.TypeName(), " and a ", b.TypeName(), " have no order");
}

StatusOr<bool> Contains(const Value& container, const Value& item, Budget& budget) {
  if (container.is_undefined()) return false;
  if (const Text* text = container.AsText(); text != nullptr) {
    if (item.AsText() == nullptr) {
      WEFT_RETURN_IF_ERROR(CheckDefined(item));
      return UserError("'in' a str wants a str on its left, not a ", item.TypeName());
    }
    WEFT_RETURN_IF_ERROR(budget.Step(static_cast<int64_t>(text->size() / 16)));
    return text->bytes().find(item.AsText()->bytes()) != std::string::npos;
  }
  if (container.AsDict() != nullptr) {
    return item.AsText() != nullptr && container.AsDict()->Find(item.AsText()->bytes()) != nullptr;
  }
  if (container.AsList() == nullptr) return UserError("'in' wants something to look in, not a ", container.TypeName());
  for (const Value& value : container.AsList()->items) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(value, item, budget));
    if (equal) return true;
  }
  return false;
}

StatusOr<std::vector<Value>> ItemsOf(const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (value.AsList() != nullptr) return value.AsList()->items;
  if (const Dict* dict = value.AsDict(); dict != nullptr) {
    for (const Dict::Entry& entry : dict->entries) items.emplace_back(entry.key);
    return items;
  }
  if (const Text* text = value.AsText(); text != nullptr) {
    for (size_t begin = 0; begin < text->size();) {
      const size_t length = CodePointAt(text->bytes(), begin).length;
      items.emplace_back(text->Sub(begin, begin + length));
      begin += length;
    }
    return items;
  }
  return UserError("a ", value.TypeName(), " cannot be iterated over");
}

StatusOr<int64_t> LengthOf(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.AsList() != nullptr) return static_cast<int64_t>(value.AsList()->items.size());
  if (value.AsDict() != nullptr) return static_cast<int64_t>(value.AsDict()->entries.size());
  if (value.AsText() != nullptr) return static_cast<int64_t>(CountCodePoints(value.AsText()->bytes()));
  return UserError("a ", value.TypeName(), " has no length");
}

}  // namespace weft::jinja
