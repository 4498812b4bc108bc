// Checked access to nlohmann::json.
#include "data/json_view.h"

#include <functional>
#include <limits>
#include <optional>

#include "absl/container/flat_hash_set.h"

namespace weft {
namespace {

constexpr int kMaxDepth = 100;
const nlohmann::json kNull;

bool IsDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// Watches a parser for objects that name a member twice, of which it would keep the last and say nothing.
class DuplicateWatch {
 public:
  bool operator()(int, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) open_.emplace_back();
    if (event == Event::object_end) open_.pop_back();
    if (event == Event::key && !open_.back().insert(parsed.get_ref<const std::string&>()).second && !found_) {
      found_ = parsed.get<std::string>();
    }
    return true;
  }
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<absl::flat_hash_set<std::string>> open_;  // the members so far of the objects around
  std::optional<std::string> found_;
};

}  // namespace

StatusOr<nlohmann::json> ParseJson(std::string_view text, std::string_view name) {
  if (IsDeep(text)) return UserError(name, ": JSON nested more than ", kMaxDepth, " deep");
  try {
    DuplicateWatch watch;
    nlohmann::json value = nlohmann::json::parse(text, std::ref(watch));
    if (watch.found()) return UserError(name, ": an object has the member '", *watch.found(), "' twice");
    return value;
  } catch (const std::exception& error) {
    std::string_view reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    const size_t end = reason.find("] ");
    if (end != std::string_view::npos) reason.remove_prefix(end + 2);
    return UserError(name, ": not JSON: ", reason);
  }
}

StatusOr<JsonView> JsonView::Get(const std::string& key) const {
  if (!value_->is_object()) return Expected("an object");
  const auto found = value_->find(key);
  return JsonView(found == value_->end() ? kNull : *found, StrCat(path_, path_.ends_with(":") ? " " : ".", key));
}

StatusOr<std::vector<JsonView>> JsonView::Items() const {
  if (!value_->is_array()) return Expected("a list");
  std::vector<JsonView> items;
  items.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) items.emplace_back((*value_)[i], StrCat(path_, "[", i, "]"));
  return items;
}

StatusOr<std::string> JsonView::String() const {
  if (!value_->is_string()) return Expected("a string");
  return value_->get_ref<const std::string&>();
}

StatusOr<int64_t> JsonView::Integer() const {
  if (!value_->is_number_integer()) return Expected("an integer");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return Expected("an integer of 64 bits");
  }
  return value_->get<int64_t>();
}

StatusOr<bool> JsonView::Bool() const {
  if (!value_->is_boolean()) return Expected("true or false");
  return value_->get<bool>();
}

StatusOr<std::string> JsonView::String(const std::string& key) const {
  WEFT_ASSIGN_OR_RETURN(const JsonView member, Get(key));
  return member.String();
}

StatusOr<std::string> JsonView::StringOr(const std::string& key, std::string absent) const {
  WEFT_ASSIGN_OR_RETURN(const JsonView member, Get(key));
  if (member.is_null()) return absent;
  return member.String();
}

StatusOr<bool> JsonView::BoolOr(const std::string& key, bool absent) const {
  WEFT_ASSIGN_OR_RETURN(const JsonView member, Get(key));
  if (member.is_null()) return absent;
  return member.Bool();
}

Status JsonView::Expected(std::string_view what) const {
  const std::string_view found = value_->is_null()      ? "nothing"
                                 : value_->is_array()   ? "a list"
                                 : value_->is_object()  ? "an object"
                                 : value_->is_string()  ? "a string"
                                 : value_->is_boolean() ? "true or false"
                                                        : "a number";
  return Error("expected ", what, ", found ", found);
}

}  // namespace weft
