// nlohmann's event parser over a stack of open lists and dicts: its own documents would sort keys, or seek them one by
// one.
#include "data/jinja/json_value.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace weft::jinja {
namespace {

constexpr size_t kMaxDepth = 100;

class ValueBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ValueBuilder(LongIntegers long_integers) : long_integers_(long_integers) {}

  bool null() override { return Add(Value()); }
  bool boolean(bool value) override { return Add(Value(value)); }
  bool number_integer(number_integer_t value) override { return Add(Value(int64_t{value})); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) return AddLongInteger(static_cast<double>(value));
    return Add(Value(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t& digits) override {
    // An integer that is too long for 64 bits comes here.
    if (digits.find_first_of(".eE") == std::string::npos) return AddLongInteger(value);
    return Add(Value(double{value}));
  }
  bool string(string_t& value) override { return Add(Value(Text(std::move(value)))); }
  bool binary(binary_t&) override { return Fail("binary data"); }
  bool start_object(std::size_t) override { return Open(/*is_dict=*/true); }
  bool start_array(std::size_t) override { return Open(/*is_dict=*/false); }
  bool key(string_t& key) override {
    if (open_.back().dict.Find(key) != nullptr) return Fail(StrCat("an object has the key '", key, "' twice"));
    open_.back().key = Text(std::move(key));
    return true;
  }
  bool end_object() override { return Close(MakeDict(std::move(open_.back().dict))); }
  bool end_array() override { return Close(MakeList(std::move(open_.back().items))); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    return Fail(StrCat("not JSON, at byte ", position));
  }

  StatusOr<Value> Take(std::string_view name) {
    if (!error_.empty()) return UserError(name, ": ", error_);
    return std::move(root_);
  }

 private:
  struct OpenValue {
    bool is_dict;
    Dict dict;
    std::vector<Value> items;
    Text key;
  };

  bool Fail(std::string_view error) {
    if (error_.empty()) error_ = error;
    return false;
  }
  bool AddLongInteger(double value) {
    return long_integers_ == LongIntegers::kAsFloats ? Add(Value(value)) : Fail("an integer of more than 64 bits");
  }
  bool Open(bool is_dict) {
    if (open_.size() == kMaxDepth) return Fail(StrCat("JSON nested more than ", kMaxDepth, " deep"));
    open_.push_back({is_dict, {}, {}, {}});
    return true;
  }
  bool Close(StatusOr<Value> value) {
    open_.pop_back();
    return value.ok() ? Add(*std::move(value)) : Fail(ToStd(value.status().message()));
  }
  bool Add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().is_dict) {
      open_.back().dict.Set(std::move(open_.back().key), std::move(value));
    } else {
      open_.back().items.push_back(std::move(value));
    }
    return true;
  }

  const LongIntegers long_integers_;
  std::vector<OpenValue> open_;
  Value root_;
  std::string error_;
};

}  // namespace

StatusOr<Value> ParseJsonValue(std::string_view text, std::string_view name, LongIntegers long_integers) {
  ValueBuilder builder(long_integers);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.Take(name);
}

Value WithSource(const Value& value, int32_t source) {
  const Origin origin{.source = source};
  if (value.AsText() != nullptr) return Value(Text(value.AsText()->bytes(), origin));
  if (const List* list = value.AsList(); list != nullptr) {
    auto marked = std::make_shared<List>();
    marked->is_tuple = list->is_tuple;
    marked->nesting = list->nesting;
    for (const Value& item : list->items) marked->items.push_back(WithSource(item, source));
    return Value(std::shared_ptr<const List>(std::move(marked)));
  }
  if (const Dict* dict = value.AsDict(); dict != nullptr) {
    auto marked = std::make_shared<Dict>();
    marked->index = dict->index;
    marked->nesting = dict->nesting;
    for (const Dict::Entry& entry : dict->entries) {
      marked->entries.push_back({Text(entry.key.bytes(), origin), WithSource(entry.value, source)});
    }
    return Value(std::shared_ptr<const Dict>(std::move(marked)));
  }
  return value;
}

}  // namespace weft::jinja
