// After Jinja's documentation, "List of Builtin Filters".
#include "data/jinja/sequence_filters.h"

#include <algorithm>

#include "data/jinja/letter_case.h"
#include "data/jinja/operators.h"
#include "data/jinja/printing.h"

namespace weft::jinja {
namespace {

StatusOr<std::vector<Value>> SelfItems(const Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(call.self));
  WEFT_RETURN_IF_ERROR(call.budget.Step(static_cast<int64_t>(items.size())));
  WEFT_RETURN_IF_ERROR(call.budget.Allocate(items.size() * sizeof(Value)));
  return items;
}

// item.a.b for "a.b"; numbers are indices.
StatusOr<Value> AttributeOf(Value item, const Value& path) {
  if (path.AsInt() != nullptr) return GetItem(item, path);
  if (path.AsText() == nullptr) return UserError("an attribute is a str, not a ", path.TypeName());
  std::string_view rest = path.AsText()->bytes();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    const bool has_digits_only = name.find_first_not_of("0123456789") == std::string_view::npos;
    const bool is_number = !name.empty() && name.size() < 10 && has_digits_only;
    const Value key = is_number ? Value(int64_t{std::stol(std::string(name))}) : Value(name);
    WEFT_ASSIGN_OR_RETURN(item, GetItem(item, key));
    if (dot == std::string_view::npos) return item;
    rest.remove_prefix(dot + 1);
  }
}

StatusOr<Value> Join(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  const Value separator_value = call.Has(0) ? call.args[0] : Value("");
  WEFT_ASSIGN_OR_RETURN(const Text separator, ToText(separator_value, call.budget));
  Text joined;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (call.Has(1)) {
      WEFT_ASSIGN_OR_RETURN(item, AttributeOf(item, call.args[1]));
    }
    WEFT_ASSIGN_OR_RETURN(const Text text, ToText(item, call.budget));
    WEFT_RETURN_IF_ERROR(call.budget.Allocate(text.size() + separator.size()));
    if (i > 0) joined.Append(separator);
    joined.Append(text);
  }
  return Value(std::move(joined));
}

StatusOr<Value> ListFilter(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, SelfItems(call));
  return MakeList(std::move(items));
}

StatusOr<Value> Items(Invocation& call) {
  if (call.self.is_undefined()) return MakeList({});
  if (call.self.AsDict() == nullptr) return UserError("expected a dict, found ", call.self.TypeName());
  return FindDictMethod("items")->call(call);
}

template <bool is_first>
StatusOr<Value> End(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  if (items.empty()) return Value::MakeUndefined("an empty sequence has no first or last item");
  return is_first ? items.front() : items.back();
}

StatusOr<Value> Reverse(Invocation& call) {
  if (call.self.AsText() != nullptr) return GetSlice(call.self, Value(), Value(), Value(int64_t{-1}));
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, SelfItems(call));
  std::reverse(items.begin(), items.end());
  return MakeList(std::move(items));
}

// The test that args[first] names, with the arguments after it, on a value; without a name, its truth.
StatusOr<bool> Passes(const Invocation& call, size_t first, const Value& value) {
  const std::vector<Value>& all = call.rest.positional;
  if (all.size() <= first) return value.IsTrue();
  const Text* name = all[first].AsText();
  const Builtin* test = name == nullptr ? nullptr : FindTest(name->bytes());
  if (test == nullptr) return UserError("there is no test '", name == nullptr ? "" : name->bytes(), "'");
  Arguments arguments{{all.begin() + static_cast<ptrdiff_t>(first) + 1, all.end()}, call.rest.named};
  WEFT_ASSIGN_OR_RETURN(const Value result, CallBuiltin(*test, value, std::move(arguments), call.budget, call.now));
  return result.IsTrue();
}

template <bool keeps_passing, bool by_attribute>
StatusOr<Value> Select(Invocation& call) {
  if (by_attribute && call.rest.positional.empty()) return UserError("wants the name of an attribute");
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  std::vector<Value> selected;
  for (const Value& item : items) {
    Value tested = item;
    if (by_attribute) {
      WEFT_ASSIGN_OR_RETURN(tested, AttributeOf(item, call.rest.positional[0]));
    }
    WEFT_ASSIGN_OR_RETURN(const bool passes, Passes(call, by_attribute ? 1 : 0, tested));
    if (passes == keeps_passing) selected.push_back(item);
  }
  return MakeList(std::move(selected));
}

const Value* FindNamed(const Arguments& arguments, std::string_view name) {
  for (const auto& [key, value] : arguments.named) {
    if (key == name) return &value;
  }
  return nullptr;
}

// map(attribute='x', default=...) or map('filter', arguments...).
StatusOr<Value> Map(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  const Value* attribute = FindNamed(call.rest, "attribute");
  const Value* absent = FindNamed(call.rest, "default");
  const std::vector<Value>& positional = call.rest.positional;
  const Builtin* filter = nullptr;
  if (attribute == nullptr) {
    const Text* name = positional.empty() ? nullptr : positional[0].AsText();
    filter = name == nullptr ? nullptr : FindFilter(name->bytes());
    if (filter == nullptr) return UserError("wants attribute= or the name of a filter that there is");
  }
  std::vector<Value> mapped;
  for (const Value& item : items) {
    Value value;
    if (attribute != nullptr) {
      WEFT_ASSIGN_OR_RETURN(value, AttributeOf(item, *attribute));
      if (value.is_undefined() && absent != nullptr) value = *absent;
    } else {
      Arguments arguments{{positional.begin() + 1, positional.end()}, call.rest.named};
      WEFT_ASSIGN_OR_RETURN(value, CallBuiltin(*filter, item, std::move(arguments), call.budget, call.now));
    }
    mapped.push_back(std::move(value));
  }
  return MakeList(std::move(mapped));
}

// What an item is sorted or told apart by.
StatusOr<Value> SortKey(const Value& item, const Value& attribute, bool case_sensitive) {
  Value key = item;
  if (!attribute.is_undefined() && !attribute.is_none()) {
    WEFT_ASSIGN_OR_RETURN(key, AttributeOf(item, attribute));
  }
  if (!case_sensitive && key.AsText() != nullptr) return Value(LowerCase(*key.AsText()));
  return key;
}

struct Keyed {
  Value key, item;
};

StatusOr<std::vector<Keyed>> SortedByKey(std::vector<Keyed> keyed, bool reverse, Budget& budget) {
  Status status;  // the first comparison that failed
  const auto less = [&](const Keyed& a, const Keyed& b) {
    if (!status.ok()) return false;
    const StatusOr<int> order = reverse ? CompareValues(b.key, a.key, budget) : CompareValues(a.key, b.key, budget);
    if (!order.ok()) status = order.status();
    return order.ok() && *order < 0;
  };
  // Merges, so that an order that is none (nan, or after a failure) cannot lead outside the range.
  std::stable_sort(keyed.begin(), keyed.end(), less);
  if (!status.ok()) return status;
  return keyed;
}

StatusOr<Value> Sort(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  const bool reverse = call.Has(0) && call.args[0].IsTrue(), case_sensitive = call.Has(1) && call.args[1].IsTrue();
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    WEFT_ASSIGN_OR_RETURN(Value key, SortKey(item, call.args[2], case_sensitive));
    keyed.push_back({std::move(key), item});
  }
  WEFT_ASSIGN_OR_RETURN(keyed, SortedByKey(std::move(keyed), reverse, call.budget));
  std::vector<Value> sorted;
  for (Keyed& entry : keyed) sorted.push_back(std::move(entry.item));
  return MakeList(std::move(sorted));
}

StatusOr<Value> DictSort(Invocation& call) {
  if (call.self.AsDict() == nullptr) return UserError("expected a dict, found ", call.self.TypeName());
  const bool case_sensitive = call.Has(0) && call.args[0].IsTrue(), reverse = call.Has(2) && call.args[2].IsTrue();
  const bool by_value = call.Has(1) && call.args[1].AsText() != nullptr && call.args[1].AsText()->bytes() == "value";
  std::vector<Keyed> keyed;
  for (const Dict::Entry& entry : call.self.AsDict()->entries) {
    WEFT_ASSIGN_OR_RETURN(Value pair, MakeList({Value(entry.key), entry.value}, /*is_tuple=*/true));
    const Value sorted_by = by_value ? entry.value : Value(entry.key);
    WEFT_ASSIGN_OR_RETURN(Value key, SortKey(sorted_by, Value(), case_sensitive));
    keyed.push_back({std::move(key), std::move(pair)});
  }
  WEFT_ASSIGN_OR_RETURN(keyed, SortedByKey(std::move(keyed), reverse, call.budget));
  std::vector<Value> sorted;
  for (Keyed& entry : keyed) sorted.push_back(std::move(entry.item));
  return MakeList(std::move(sorted));
}

StatusOr<Value> Unique(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  const bool case_sensitive = call.Has(0) && call.args[0].IsTrue();
  std::vector<Value> keys, unique;
  for (const Value& item : items) {
    WEFT_ASSIGN_OR_RETURN(Value key, SortKey(item, call.args[1], case_sensitive));
    bool known = false;
    for (size_t i = 0; i < keys.size() && !known; ++i) {
      WEFT_ASSIGN_OR_RETURN(known, AreEqual(keys[i], key, call.budget));
    }
    if (known) continue;
    keys.push_back(std::move(key));
    unique.push_back(item);
  }
  return MakeList(std::move(unique));
}

StatusOr<Value> Sum(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  Value sum = call.Has(1) ? call.args[1] : Value(int64_t{0});
  for (const Value& item : items) {
    Value term = item;
    if (call.Has(0) && !call.args[0].is_none()) {
      WEFT_ASSIGN_OR_RETURN(term, AttributeOf(item, call.args[0]));
    }
    WEFT_ASSIGN_OR_RETURN(sum, ApplyBinary(BinaryOperator::kAdd, sum, term, call.budget));
  }
  return sum;
}

template <bool is_largest>
StatusOr<Value> Extreme(Invocation& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, SelfItems(call));
  if (items.empty()) return Value::MakeUndefined("an empty sequence has no smallest or largest item");
  Value best = items[0], best_key;
  WEFT_ASSIGN_OR_RETURN(best_key, SortKey(best, call.args[1], call.Has(0) && call.args[0].IsTrue()));
  for (const Value& item : items) {
    WEFT_ASSIGN_OR_RETURN(Value key, SortKey(item, call.args[1], call.Has(0) && call.args[0].IsTrue()));
    WEFT_ASSIGN_OR_RETURN(const int order, CompareValues(key, best_key, call.budget));
    if (is_largest ? order <= 0 : order >= 0) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

}  // namespace

const Builtin* FindSequenceFilter(std::string_view name) {
  static const std::vector<Builtin> kFilters = {
      {"join", {"d", "attribute"}, 0, Join},
      {"list", {}, 0, ListFilter},
      {"items", {}, 0, Items},
      {"first", {}, 0, End<true>},
      {"last", {}, 0, End<false>},
      {"reverse", {}, 0, Reverse},
      {"select", {}, 0, Select<true, false>, /*takes_more=*/true},
      {"reject", {}, 0, Select<false, false>, /*takes_more=*/true},
      {"selectattr", {}, 0, Select<true, true>, /*takes_more=*/true},
      {"rejectattr", {}, 0, Select<false, true>, /*takes_more=*/true},
      {"map", {}, 0, Map, /*takes_more=*/true},
      {"sort", {"reverse", "case_sensitive", "attribute"}, 0, Sort},
      {"dictsort", {"case_sensitive", "by", "reverse"}, 0, DictSort},
      {"unique", {"case_sensitive", "attribute"}, 0, Unique},
      {"sum", {"attribute", "start"}, 0, Sum},
      {"min", {"case_sensitive", "attribute"}, 0, Extreme<false>},
      {"max", {"case_sensitive", "attribute"}, 0, Extreme<true>},
  };
  return FindIn(kFilters, name);
}

}  // namespace weft::jinja
