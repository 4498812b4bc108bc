// JsonReader: typed reads of the keys of one JSON object. It remembers the first key that does not hold what it should, so
// that a caller reads all it wants and then asks once.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/status.h"
#include "core/str_cat.h"
#include "nlohmann/json.hpp"

namespace weft {

class JsonReader {
 public:
  JsonReader(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {}

  bool Names(const char* key) const { return object_.contains(key); }  // be it null
  bool Has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }

  int64_t Integer(const char* key, int64_t fallback) {
    if (!Has(key)) return fallback;
    if (!object_.at(key).is_number_integer()) return Fail(key, "a whole number"), fallback;
    return object_.at(key).get<int64_t>();
  }
  int64_t Size(const char* key, int64_t fallback, int64_t most) {
    const int64_t value = Integer(key, fallback);
    if (value <= 0 || value > most) Fail(key, StrCat("a number from 1 to ", most));
    return value;
  }
  int64_t RequiredSize(const char* key, int64_t most) {
    if (!Has(key)) Fail(key, StrCat("a number from 1 to ", most));
    return Size(key, 1, most);
  }
  double Number(const char* key, double fallback) {
    if (!Has(key)) return fallback;
    if (!object_.at(key).is_number()) return Fail(key, "a number"), fallback;
    return object_.at(key).get<double>();
  }
  bool Boolean(const char* key, bool fallback) {
    if (!Has(key)) return fallback;
    if (!object_.at(key).is_boolean()) return Fail(key, "true or false"), fallback;
    return object_.at(key).get<bool>();
  }
  std::string String(const char* key, const std::string& fallback) {
    if (!Has(key)) return fallback;
    if (!object_.at(key).is_string()) return Fail(key, "a string"), fallback;
    return object_.at(key).get<std::string>();
  }
  std::vector<int64_t> IntegerOrList(const char* key) {
    if (!Has(key)) return {};
    const nlohmann::json& value = object_.at(key);
    if (value.is_number_integer()) return {value.get<int64_t>()};
    std::vector<int64_t> list;
    if (!value.is_array()) return Fail(key, "a token id or a list of them"), list;
    for (const nlohmann::json& item : value) {
      if (!item.is_number_integer()) return Fail(key, "a token id or a list of them"), list;
      list.push_back(item.get<int64_t>());
    }
    return list;
  }
  // Token ids of a vocabulary. Others, such as configs keep whose vocabulary was cut, can never come up: they are left
  // out, with a warning.
  std::vector<int64_t> TokenIds(const char* key, int64_t vocab_size) {
    std::vector<int64_t> ids = IntegerOrList(key);
    std::erase_if(ids, [&](int64_t id) {
      const bool is_outside = id < 0 || id >= vocab_size;
      if (is_outside) LogInfo(where_, ": ", key, ": ", id, " is outside the vocabulary of ", vocab_size, " and left out");
      return is_outside;
    });
    return ids;
  }
  void Fail(const char* key, const std::string& expected) {
    if (status_.ok()) {
      status_ = UserError(where_, ": ", key, ": expected ", expected, ", got ", Shown(key));
    }
  }
  const nlohmann::json& At(const char* key) const { return object_.at(key); }
  const Status& status() const { return status_; }

 private:
  // What stands under a key. Lists and objects go by their kind: writing out a deep one would overflow the stack.
  std::string Shown(const char* key) const {
    if (!object_.contains(key)) return "nothing";
    const nlohmann::json& value = object_.at(key);
    if (value.is_structured()) return StrCat("an ", value.type_name());
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(0, 80);
  }

  const nlohmann::json& object_;
  std::string where_;
  Status status_;
};

}  // namespace weft
