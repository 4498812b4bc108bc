// Looking up, merging and overriding in a ConfigTree (see config_tree.h).
#include "core/config_tree.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/escaping.h"
#include "core/config_number.h"

namespace weft {
namespace {

constexpr size_t kMaxPrintedErrors = 20;
constexpr size_t kMaxPrintedText = 60;  // bytes of a value in a message

bool SameScalar(const ConfigNode& a, const ConfigNode& b) {
  if (a.text == b.text) return true;
  double left, right;
  return !a.quoted && !b.quoted && ParseNumber(a.text, &left) && ParseNumber(b.text, &right) && left == right;
}

bool SameValue(const ConfigNode& a, const ConfigNode& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case ConfigNode::Kind::kNull:
      return true;
    case ConfigNode::Kind::kScalar:
      return SameScalar(a, b);
    case ConfigNode::Kind::kList:
      return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), SameValue);
    case ConfigNode::Kind::kMap:
      break;  // MergeMaps descends into these
  }
  return false;
}

void MergeMaps(ConfigNode& into, const ConfigNode& from, const std::string& prefix, ConfigTree& tree) {
  for (const auto& [key, value] : from.entries) {
    ConfigNode* present = into.Find(key);
    if (present == nullptr) {
      into.entries.emplace_back(key, value);
    } else if (present->kind == ConfigNode::Kind::kMap && value.kind == ConfigNode::Kind::kMap) {
      MergeMaps(*present, value, StrCat(prefix, key, "."), tree);
    } else if (present->IsUnset()) {
      *present = value;
    } else if (!value.IsUnset() && !SameValue(*present, value)) {
      tree.Fail(value.place, StrCat(prefix, key, ": ", value.Describe(), " here, but ", present->Describe(), " in ",
                                    present->place.ToString(), "; keep one of the two"));
    }
  }
}

// What a step of a dotted path leads to: an entry of a section, made where it is absent, or by its number, from 0, one of
// a list. `path` is that of `node`.
StatusOr<ConfigNode*> ChildOf(ConfigNode& node, const std::string& path, const std::string& key, const ConfigPlace& place) {
  if (node.kind == ConfigNode::Kind::kMap) {
    if (node.Find(key) == nullptr) node.entries.emplace_back(key, ConfigNode{.place = place});
    return node.Find(key);
  }
  if (node.kind != ConfigNode::Kind::kList) {
    return UserError(path, ": is ", node.Describe(), " in ", node.place.ToString(), ", not a section");
  }
  int64_t index;
  if (ParseNumber(key, &index) && index >= 0 && index < static_cast<int64_t>(node.items.size())) {
    return &node.items[static_cast<size_t>(index)];
  }
  return UserError(path, ": the list in ", node.place.ToString(), " has ", node.items.size(),
                   " entries, counted from 0; there is none called ", key);
}

}  // namespace

std::string ConfigPlace::ToString() const { return line > 0 ? StrCat(source, ":", line) : source; }

ConfigNode* ConfigNode::Find(std::string_view key) {
  for (auto& [name, value] : entries) {
    if (name == key) return &value;
  }
  return nullptr;
}

const ConfigNode* ConfigNode::Find(std::string_view key) const { return const_cast<ConfigNode*>(this)->Find(key); }

std::string ConfigNode::Describe() const {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a section";
    case Kind::kScalar:
      break;
  }
  const std::string shown = absl::Utf8SafeCEscape(text);
  if (shown.size() > kMaxPrintedText) return StrCat("a text of ", text.size(), " bytes");
  return quoted ? StrCat("\"", shown, "\"") : StrCat("'", shown, "'");
}

Status AsStatus(std::vector<ConfigError> errors) {
  if (errors.empty()) return absl::OkStatus();
  std::stable_sort(errors.begin(), errors.end(), [](const ConfigError& a, const ConfigError& b) {
    return std::tie(a.place.source, a.place.line) < std::tie(b.place.source, b.place.line);
  });
  std::string text;
  for (size_t i = 0; i < std::min(errors.size(), kMaxPrintedErrors); ++i) {
    const std::string place = errors[i].place.ToString();
    StrAppend(&text, i > 0 ? "\n" : "", place, place.empty() ? "" : ": ", errors[i].message);
  }
  if (errors.size() > kMaxPrintedErrors) StrAppend(&text, "\n... and ", errors.size() - kMaxPrintedErrors, " more");
  return UserError(text);
}

void MergeConfig(ConfigTree& into, const ConfigNode& from) { MergeMaps(into.root, from, "", into); }

void OverrideConfig(ConfigTree& tree, std::string_view dotted_path, ConfigNode value) {
  ConfigNode* node = &tree.root;
  std::string path;
  while (true) {
    const size_t dot = dotted_path.find('.');
    const std::string key(dotted_path.substr(0, dot));
    if (key.empty()) {
      tree.Fail(value.place, "expected names between the dots, as in a.b=c");
      return;
    }
    if (node->IsUnset()) *node = ConfigNode{.kind = ConfigNode::Kind::kMap, .place = value.place};
    StatusOr<ConfigNode*> next = ChildOf(*node, path, key, value.place);
    if (!next.ok()) {
      tree.Fail(value.place, std::string(next.status().message()));
      return;
    }
    node = *next;
    StrAppend(&path, path.empty() ? "" : ".", key);
    if (dot == std::string_view::npos) break;
    dotted_path.remove_prefix(dot + 1);
  }
  *node = std::move(value);
}

}  // namespace weft
