// JsonView: a place in a JSON document that knows its path, so that what is wrong with a file from elsewhere is said as
// "tokenizer.json: model.vocab: expected an object, found a list". Nothing here throws.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace weft {

// Parses with a bound on nesting (a deep file would overflow the stack of whoever walks it); an object that has a member
// twice is an error. `name` stands in messages.
StatusOr<nlohmann::json> ParseJson(std::string_view text, std::string_view name);

class JsonView {
 public:
  // `value` must outlive the view.
  JsonView(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }

  // A member; a null view where it is absent. Fails where this is not an object.
  StatusOr<JsonView> Get(const std::string& key) const;
  StatusOr<std::vector<JsonView>> Items() const;  // fails where this is not a list

  StatusOr<std::string> String() const;
  StatusOr<int64_t> Integer() const;
  StatusOr<bool> Bool() const;
  // Members by key. The Or forms take `absent` where the member is absent or null.
  StatusOr<std::string> String(const std::string& key) const;
  StatusOr<std::string> StringOr(const std::string& key, std::string absent) const;
  StatusOr<bool> BoolOr(const std::string& key, bool absent) const;

  // "path: message", as a UserError.
  template <typename... Parts>
  Status Error(const Parts&... parts) const {
    return UserError(path_, ": ", parts...);
  }
  Status Expected(std::string_view what) const;

 private:
  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace weft
