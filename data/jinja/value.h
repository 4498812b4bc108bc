// Value: what a template computes with: the values of JSON, and undefined, tuples, namespaces and functions.
//
// Values are cheap to copy and do not change, namespaces excepted: lists, dicts and texts are shared. Namespaces, loops
// and functions cannot be put into lists, dicts or namespaces, so no value refers to itself and none outlives the
// scope a macro was defined in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/status.h"
#include "data/jinja/budget.h"
#include "data/jinja/text.h"

namespace weft::jinja {

struct List;
struct Dict;
struct Namespace;
struct Function;
struct Loop;

struct Undefined {
  std::shared_ptr<const std::string> reason;  // "'x' is undefined"
};
struct None {};

class Value {
 public:
  Value() = default;  // None
  explicit Value(bool value) : value_(value) {}
  explicit Value(int64_t value) : value_(value) {}
  explicit Value(double value) : value_(value) {}
  explicit Value(Text text) : value_(std::make_shared<const Text>(std::move(text))) {}
  explicit Value(std::string_view text) : Value(Text(std::string(text))) {}
  explicit Value(const char* text) : Value(std::string_view(text)) {}
  explicit Value(std::shared_ptr<const List> list) : value_(std::move(list)) {}
  explicit Value(std::shared_ptr<const Dict> dict) : value_(std::move(dict)) {}
  explicit Value(std::shared_ptr<Namespace> ns) : value_(std::move(ns)) {}
  explicit Value(std::shared_ptr<const Function> function) : value_(std::move(function)) {}
  explicit Value(const Loop* loop) : value_(loop) {}
  static Value MakeUndefined(std::string reason);

  bool is_undefined() const { return std::holds_alternative<Undefined>(value_); }
  bool is_none() const { return std::holds_alternative<None>(value_); }
  // Null where the value is of another type.
  const bool* AsBool() const { return std::get_if<bool>(&value_); }
  const int64_t* AsInt() const { return std::get_if<int64_t>(&value_); }
  const double* AsFloat() const { return std::get_if<double>(&value_); }
  const Text* AsText() const { return Pointer<std::shared_ptr<const Text>>(); }
  const List* AsList() const { return Pointer<std::shared_ptr<const List>>(); }  // or a tuple
  const Dict* AsDict() const { return Pointer<std::shared_ptr<const Dict>>(); }
  Namespace* AsNamespace() const { return Pointer<std::shared_ptr<Namespace>>(); }
  const Function* AsFunction() const { return Pointer<std::shared_ptr<const Function>>(); }
  const Loop* AsLoop() const;
  bool is_number() const { return AsBool() != nullptr || AsInt() != nullptr || AsFloat() != nullptr; }
  const std::string& undefined_reason() const { return *std::get<Undefined>(value_).reason; }

  bool IsTrue() const;                // Python's bool()
  std::string_view TypeName() const;  // "str", "dict", ...: as in Python's messages
  int nesting() const;                // 0 for what holds no other values
  size_t shallow_bytes() const;       // of the text, list or dict itself

 private:
  template <typename P>
  typename P::element_type* Pointer() const {
    const P* pointer = std::get_if<P>(&value_);
    return pointer == nullptr ? nullptr : pointer->get();
  }

  std::variant<None, Undefined, bool, int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const List>,
               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Function>, const Loop*>
      value_;
};

struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  int nesting = 1;
};

// In the order of first insertion; keys are texts.
struct Dict {
  struct Entry {
    Text key;
    Value value;
  };
  std::vector<Entry> entries;
  absl::flat_hash_map<std::string, size_t> index;  // bytes of a key -> entry
  int nesting = 1;

  const Value* Find(std::string_view key) const;
  void Set(Text key, Value value);  // the last value of a key counts
};

struct Namespace {
  absl::flat_hash_map<std::string, Value> attributes;
};

// The variable `loop`.
struct Loop {
  const std::vector<Value>& items;
  size_t index0 = 0;
  int64_t depth0 = 0;
};

// Lists and tuples; fails where they are nested too deeply or hold what may not be held.
StatusOr<Value> MakeList(std::vector<Value> items, bool is_tuple = false);
StatusOr<Value> MakeDict(Dict dict);
Status CheckMayBeHeld(const Value& value);

// Python's ==; 1 == 1.0 == True. Undefined equals undefined.
StatusOr<bool> AreEqual(const Value& a, const Value& b, Budget& budget);
// Negative, 0 or positive, for numbers, texts and lists; an error for other types.
StatusOr<int> CompareValues(const Value& a, const Value& b, Budget& budget);
// Python's `in`.
StatusOr<bool> Contains(const Value& container, const Value& item, Budget& budget);
// What `for` goes over: items, keys of a dict, characters; nothing where undefined.
StatusOr<std::vector<Value>> ItemsOf(const Value& value);
// Python's len(); 0 where undefined.
StatusOr<int64_t> LengthOf(const Value& value);
// "'x' is undefined" as an error; OK where it is defined.
Status CheckDefined(const Value& value);
// The number, for bool, int and float.
StatusOr<double> ToDouble(const Value& value);
// The integer, for bool and int; `what` stands in the message.
StatusOr<int64_t> ToInteger(const Value& value, std::string_view what);

}  // namespace weft::jinja
