// Checked access to nlohmann::json.
#include "data/json_view.h"

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

// Looks for objects that name a member twice, of which the parser keeps the last and says nothing. In a pass of its own: the
// parser, while it asks a callback, walks the whole list around at the end of each object in it.
class DuplicateWatch : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool start_object(size_t) override { return open_.emplace_back(), true; }
  bool end_object() override { return open_.pop_back(), true; }
  bool key(std::string& name) override {
    if (!open_.back().insert(name).second) found_ = name;
    return !found_.has_value();  // the first ends the search
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<absl::flat_hash_set<std::string>> open_;  // the members so far of the objects around
  std::optional<std::string> found_;
};

}  // namespace

StatusOr<nlohmann::json> ParseJson(std::string_view text, std::string_view name) {
  if (IsDeep(text)) return UserError(name, ": JSON nested more than ", kMaxDepth, " deep");
  try {
    nlohmann::json value = nlohmann::json::parse(text);
    DuplicateWatch watch;
    nlohmann::json::sax_parse(text, &watch);
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
