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
    StrAppend(&path, path.empty() ? "" : ".", key);
    if (key.empty()) {
      tree.Fail(value.place, "expected names between the dots, as in a.b=c");
      return;
    }
    ConfigNode* next = node->Find(key);
    if (next == nullptr) {
      node->entries.emplace_back(key, ConfigNode{.place = value.place});
      next = &node->entries.back().second;
    }
    if (dot == std::string_view::npos) {
      *next = std::move(value);
      return;
    }
    if (next->IsUnset()) *next = ConfigNode{.kind = ConfigNode::Kind::kMap, .place = value.place};
    if (next->kind != ConfigNode::Kind::kMap) {
      tree.Fail(value.place,
                StrCat(path, ": is ", next->Describe(), " in ", next->place.ToString(), ", not a section"));
      return;
    }
    node = next;
    dotted_path.remove_prefix(dot + 1);
  }
}

}  // namespace weft
