// object.name, object[key], object[a:b:c]: after Jinja's environment (getattr, getitem) and Python's slices.
#include <algorithm>

#include "data/jinja/function.h"
#include "data/jinja/operators.h"
#include "data/utf8.h"

namespace weft::jinja {
namespace {

Value Absent(const Value& object, std::string_view name) {
  return Value::MakeUndefined(StrCat("a ", object.TypeName(), " has no '", name, "'"));
}

const Builtin* FindMethod(const Value& object, std::string_view name) {
  if (object.AsText() != nullptr) return FindTextMethod(name);
  if (object.AsDict() != nullptr) return FindDictMethod(name);
  if (object.AsList() != nullptr) return FindListMethod(name);
  if (object.AsLoop() != nullptr) return FindLoopMethod(name);
  return nullptr;
}

Value GetLoopAttribute(const Loop& loop, std::string_view name) {
  const int64_t index0 = static_cast<int64_t>(loop.index0), length = static_cast<int64_t>(loop.items.size());
  if (name == "index") return Value(index0 + 1);
  if (name == "index0") return Value(index0);
  if (name == "revindex") return Value(length - index0);
  if (name == "revindex0") return Value(length - index0 - 1);
  if (name == "first") return Value(index0 == 0);
  if (name == "last") return Value(index0 == length - 1);
  if (name == "length") return Value(length);
  if (name == "depth") return Value(loop.depth0 + 1);
  if (name == "depth0") return Value(loop.depth0);
  if (name == "previtem" && index0 > 0) return loop.items[loop.index0 - 1];
  if (name == "nextitem" && index0 + 1 < length) return loop.items[loop.index0 + 1];
  return Value::MakeUndefined(StrCat("'loop' has no '", name, "'"));
}

// The value an object holds under a name, or null.
const Value* FindEntry(const Value& object, std::string_view name) {
  if (object.AsDict() != nullptr) return object.AsDict()->Find(name);
  if (Namespace* ns = object.AsNamespace(); ns != nullptr) {
    const auto found = ns->attributes.find(ToAbsl(name));
    if (found != ns->attributes.end()) return &found->second;
  }
  return nullptr;
}

Value BindMethod(const Value& object, const Builtin& method) {
  return Value(std::shared_ptr<const Function>(std::make_shared<Function>(Function{&method, object})));
}

// Byte offset of each code point, and the end.
std::vector<size_t> CodePointBegins(std::string_view text) {
  std::vector<size_t> begins;
  for (size_t i = 0; i < text.size(); i += CodePointAt(text, i).length) begins.push_back(i);
  begins.push_back(text.size());
  return begins;
}

Value GetCharacter(const Text& text, int64_t index) {
  const int64_t length = static_cast<int64_t>(CountCodePoints(text.bytes()));
  if (index < 0) index += length;
  if (index < 0 || index >= length) return Value::MakeUndefined("a str has no such character");
  size_t begin = 0;
  for (; index > 0; --index) begin += CodePointAt(text.bytes(), begin).length;
  return Value(text.Sub(begin, begin + CodePointAt(text.bytes(), begin).length));
}

Value GetElement(const List& list, int64_t index) {
  const int64_t length = static_cast<int64_t>(list.items.size());
  if (index < 0) index += length;
  if (index < 0 || index >= length) return Value::MakeUndefined(StrCat("a list of ", length, " has no such element"));
  return list.items[index];
}

struct SliceBounds {
  int64_t start = 0, stop = 0, step = 1;
};

// Python's slice.indices.
StatusOr<SliceBounds> ResolveSlice(const Value& start, const Value& stop, const Value& step, int64_t length) {
  SliceBounds bounds;
  if (!step.is_none()) {
    WEFT_ASSIGN_OR_RETURN(bounds.step, ToInteger(step, "slice"));
  }
  if (bounds.step == 0) return UserError("the step of a slice is 0");
  bounds.step = std::clamp(bounds.step, -length - 1, length + 1);  // steps out of the list are all the same
  const bool backward = bounds.step < 0;
  const int64_t low = backward ? -1 : 0, high = backward ? length - 1 : length;
  const auto resolve = [&](const Value& bound, int64_t absent) -> StatusOr<int64_t> {
    if (bound.is_none()) return absent;
    WEFT_ASSIGN_OR_RETURN(int64_t index, ToInteger(bound, "slice"));
    if (index < 0) index = std::max(index, -length - 1) + length;
    return std::clamp(index, low, high);
  };
  WEFT_ASSIGN_OR_RETURN(bounds.start, resolve(start, backward ? high : low));
  WEFT_ASSIGN_OR_RETURN(bounds.stop, resolve(stop, backward ? low : high));
  return bounds;
}

template <typename Take>
void ForEachIn(const SliceBounds& bounds, const Take& take) {
  for (int64_t i = bounds.start; bounds.step > 0 ? i < bounds.stop : i > bounds.stop; i += bounds.step) take(i);
}

}  // namespace

StatusOr<Value> GetAttribute(const Value& object, std::string_view name) {
  WEFT_RETURN_IF_ERROR(CheckDefined(object));
  if (const Builtin* method = FindMethod(object, name); method != nullptr) return BindMethod(object, *method);
  if (object.AsLoop() != nullptr) return GetLoopAttribute(*object.AsLoop(), name);
  const Value* entry = FindEntry(object, name);
  return entry != nullptr ? *entry : Absent(object, name);
}

StatusOr<Value> GetItem(const Value& object, const Value& key) {
  WEFT_RETURN_IF_ERROR(CheckDefined(object));
  if (key.AsText() != nullptr) {
    const Value* entry = FindEntry(object, key.AsText()->bytes());
    return entry != nullptr ? *entry : GetAttribute(object, key.AsText()->bytes());
  }
  WEFT_RETURN_IF_ERROR(CheckDefined(key));
  const bool is_index = key.AsInt() != nullptr || key.AsBool() != nullptr;
  if (is_index && object.AsList() != nullptr) return GetElement(*object.AsList(), *ToInteger(key, ""));
  if (is_index && object.AsText() != nullptr) return GetCharacter(*object.AsText(), *ToInteger(key, ""));
  return Value::MakeUndefined(StrCat("a ", object.TypeName(), " has no element under a ", key.TypeName()));
}

StatusOr<Value> GetSlice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  WEFT_RETURN_IF_ERROR(CheckDefined(object));
  if (const List* list = object.AsList(); list != nullptr) {
    WEFT_ASSIGN_OR_RETURN(const SliceBounds bounds,
                          ResolveSlice(start, stop, step, static_cast<int64_t>(list->items.size())));
    std::vector<Value> items;
    ForEachIn(bounds, [&](int64_t i) { items.push_back(list->items[i]); });
    return MakeList(std::move(items), list->is_tuple);
  }
  if (const Text* text = object.AsText(); text != nullptr) {
    const std::vector<size_t> begins = CodePointBegins(text->bytes());
    WEFT_ASSIGN_OR_RETURN(const SliceBounds bounds,
                          ResolveSlice(start, stop, step, static_cast<int64_t>(begins.size()) - 1));
    if (bounds.step == 1) return Value(text->Sub(begins[bounds.start], begins[std::max(bounds.start, bounds.stop)]));
    Text part;
    ForEachIn(bounds, [&](int64_t i) { part.Append(*text, begins[i], begins[i + 1]); });
    return Value(std::move(part));
  }
  return UserError("a ", object.TypeName(), " cannot be sliced");
}

}  // namespace weft::jinja
