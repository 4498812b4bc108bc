// The visitor that reads (see field_reader.h).
#include "core/field_reader.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "core/config_number.h"

namespace weft {
namespace {

constexpr size_t kMaxSuggestedName = 64;  // bytes of a key that gets a suggestion
constexpr size_t kMaxSuggestedKeys = 20;  // keys that get one, so that a hostile file stays cheap

// --- What a scalar means ---------------------------------------------------------------------------------------------

bool Parse(const ConfigNode& node, bool* value) {
  if (node.kind != ConfigNode::Kind::kScalar || node.quoted) return false;
  *value = absl::EqualsIgnoreCase(node.text, "true");
  return *value || absl::EqualsIgnoreCase(node.text, "false");
}

template <typename Number>
bool Parse(const ConfigNode& node, Number* value) {
  return node.kind == ConfigNode::Kind::kScalar && !node.quoted && ParseNumber(node.text, value);
}

bool Parse(const ConfigNode& node, std::string* value) {
  if (node.kind != ConfigNode::Kind::kScalar || node.text.find('\0') != std::string::npos) return false;
  *value = node.text;
  return true;
}

std::string_view Expected(const bool&) { return "true or false"; }
std::string_view Expected(const int64_t&) { return "an integer"; }
std::string_view Expected(const double&) { return "a number"; }
std::string_view Expected(const std::string&) { return "text"; }

// Asks for nothing (see FieldVisitor::Refused).
bool IsOff(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::kNull:
      return true;
    case ConfigNode::Kind::kScalar: {
      bool flag;
      double number;
      if (Parse(node, &flag)) return !flag;
      if (Parse(node, &number)) return number == 0;
      return node.text.empty() || node.text == "auto" || absl::EqualsIgnoreCase(node.text, "none");
    }
    case ConfigNode::Kind::kList:
      return std::all_of(node.items.begin(), node.items.end(), IsOff);
    case ConfigNode::Kind::kMap:
      break;
  }
  const ConfigNode* enabled = node.Find("enabled");
  if (enabled != nullptr && IsOff(*enabled)) return true;
  return std::all_of(node.entries.begin(), node.entries.end(), [](const auto& entry) { return IsOff(entry.second); });
}

// --- Nearest names ---------------------------------------------------------------------------------------------------

// Levenshtein's distance: the fewest insertions, deletions and replacements of a character from a to b.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // distances of a[0, i) to every b[0, j)
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

// The candidate that `name` was most likely meant to be; empty where none is near.
std::string Nearest(const std::string& name, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(absl::AsciiStrToLower(name), absl::AsciiStrToLower(candidate));
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace

// --- The report ------------------------------------------------------------------------------------------------------

ConfigPlace ConfigReport::PlaceOf(const std::string& key) const {
  const auto found = places.find(key);
  if (found != places.end()) return found->second;
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? ConfigPlace{} : PlaceOf(key.substr(0, dot));
}

// --- The walk --------------------------------------------------------------------------------------------------------

FieldReader::FieldReader(ConfigTree tree) : tree_(std::move(tree)) {
  levels_.push_back({.node = &tree_.root, .prefix = "", .known = {}, .fields = {}, .aliases = {}});
}

StatusOr<ConfigReport> FieldReader::Finish() && {
  CloseLevel();
  for (const UnknownKey& unknown : unknown_) ReportUnknown(unknown);
  WEFT_RETURN_IF_ERROR(AsStatus(std::move(tree_.errors)));
  return std::move(report_);
}

const ConfigNode* FieldReader::Take(std::string_view name) {
  Level& level = levels_.back();
  level.known.emplace_back(name);
  if (level.node == nullptr) return nullptr;
  const auto alias = level.aliases.find(std::string(name));
  const ConfigNode* node = level.node->Find(alias == level.aliases.end() ? name : std::string_view(alias->second));
  if (node != nullptr && !node->IsUnset()) report_.places[Path(name)] = node->place;
  return node;
}

const ConfigNode* FieldReader::TakeField(std::string_view name) {
  levels_.back().fields.emplace_back(name);
  all_fields_.push_back(Path(name));
  return Take(name);
}

bool FieldReader::SaysNothing(const ConfigNode& node, std::string_view name) {
  if (node.kind == ConfigNode::Kind::kScalar && node.IsUnset()) {
    report_.autos.insert(Path(name));
    report_.places[Path(name)] = node.place;
    report_.notices.push_back(StrCat(node.place.ToString(), ": ", Path(name), ": auto counts as not given"));
  }
  return node.IsUnset();
}

void FieldReader::Alias(std::string_view alias, std::string_view name) {
  Level& level = levels_.back();
  level.known.emplace_back(alias);
  const ConfigNode* node = level.node == nullptr ? nullptr : level.node->Find(alias);
  if (node == nullptr) return;
  if (level.node->Find(name) != nullptr || level.aliases.contains(std::string(name))) {
    Fail(*node, alias, StrCat("is another name of ", name, ", which is given too; keep one of the two"));
    return;
  }
  level.aliases[std::string(name)] = std::string(alias);
}

bool FieldReader::Enter(std::string_view name, std::string_view, bool optional, bool) {
  const ConfigNode* node = TakeField(name);
  if (node != nullptr && node->kind != ConfigNode::Kind::kMap) {
    if (!node->IsUnset()) Fail(*node, name, StrCat("expected a section, got ", node->Describe()));
    node = nullptr;
  }
  if (node == nullptr && optional) return false;
  levels_.push_back({.node = node, .prefix = StrCat(Path(name), "."), .known = {}, .fields = {}, .aliases = {}});
  return true;
}

std::optional<size_t> FieldReader::EnterList(std::string_view name, std::string_view, size_t) {
  const ConfigNode* node = TakeField(name);
  if (node == nullptr || SaysNothing(*node, name)) return std::nullopt;
  if (node->kind != ConfigNode::Kind::kList) {
    Fail(*node, name, StrCat("expected a list of sections, got ", node->Describe()));
    return std::nullopt;
  }
  levels_.push_back({.node = node, .prefix = StrCat(Path(name), "."), .known = {}, .fields = {}, .aliases = {}});
  return node->items.size();
}

void FieldReader::EnterItem(size_t index) {
  const std::string path = Path(StrCat(index));
  const ConfigNode* node = &levels_.back().node->items[index];
  report_.places[path] = node->place;
  if (node->kind != ConfigNode::Kind::kMap) {
    Fail(*node, StrCat(index), StrCat("expected a section, got ", node->Describe()));
    node = nullptr;
  }
  levels_.push_back({.node = node, .prefix = StrCat(path, "."), .known = {}, .fields = {}, .aliases = {}});
}

void FieldReader::Leave() {
  CloseLevel();
  levels_.pop_back();
}

void FieldReader::CloseLevel() {
  const Level& level = levels_.back();
  if (level.node == nullptr) return;
  for (const auto& [name, value] : level.node->entries) {
    if (std::find(level.known.begin(), level.known.end(), name) != level.known.end()) continue;
    unknown_.push_back({value.place, level.prefix, name, level.known, level.fields});
  }
}

void FieldReader::ReportUnknown(const UnknownKey& unknown) {
  const std::string shown =
      unknown.name.size() > kMaxSuggestedName ? StrCat(unknown.name.substr(0, 20), "...") : unknown.name;
  std::string message = StrCat(unknown.prefix, shown, ": unknown key");
  if (unknown.name.size() <= kMaxSuggestedName && tree_.errors.size() < kMaxSuggestedKeys) {
    std::string nearest = Nearest(unknown.name, unknown.known);
    for (const std::string& key : all_fields_) {  // the right name in the wrong section
      if (nearest.empty() && absl::EndsWith(key, StrCat(".", unknown.name))) nearest = key;
    }
    if (!nearest.empty()) {
      StrAppend(&message, "; did you mean '", nearest, "'?");
    } else if (listed_.insert(unknown.prefix).second) {  // once is enough
      StrAppend(&message, "; known here: ", absl::StrJoin(unknown.fields, ", "));
    }
  }
  tree_.Fail(unknown.place, message);
}

void FieldReader::Fail(const ConfigNode& node, std::string_view name, std::string_view message) {
  tree_.Fail(node.place, StrCat(Path(name), ": ", message));
}

// --- Values ----------------------------------------------------------------------------------------------------------

template <typename T>
void FieldReader::Read(std::string_view name, T& value) {
  const ConfigNode* node = TakeField(name);
  if (node == nullptr || SaysNothing(*node, name)) return;
  if (!Parse(*node, &value)) Fail(*node, name, StrCat("expected ", Expected(value), ", got ", node->Describe()));
}

template <typename T>
void FieldReader::ReadOptional(std::string_view name, std::optional<T>& value) {
  const ConfigNode* node = TakeField(name);
  if (node == nullptr) return;
  value.reset();
  if (SaysNothing(*node, name)) return;
  value.emplace();
  if (!Parse(*node, &*value)) Fail(*node, name, StrCat("expected ", Expected(*value), ", got ", node->Describe()));
}

template <typename T>
void FieldReader::ReadList(std::string_view name, std::vector<T>& value) {
  const ConfigNode* node = TakeField(name);
  if (node == nullptr || SaysNothing(*node, name)) return;
  if (node->kind != ConfigNode::Kind::kList) {
    Fail(*node, name, StrCat("expected a list, got ", node->Describe()));
    return;
  }
  value.clear();
  for (const ConfigNode& item : node->items) {
    T parsed{};
    if (!Parse(item, &parsed)) {
      Fail(item, StrCat(name, "[", value.size(), "]"),
           StrCat("expected ", Expected(parsed), ", got ", item.Describe()));
    }
    value.push_back(std::move(parsed));
  }
}

void FieldReader::Field(std::string_view name, bool& value, std::string_view) { Read(name, value); }
void FieldReader::Field(std::string_view name, int64_t& value, std::string_view) { Read(name, value); }
void FieldReader::Field(std::string_view name, double& value, std::string_view) { Read(name, value); }
void FieldReader::Field(std::string_view name, std::string& value, std::string_view) {
  const ConfigNode* node = TakeField(name);
  if (node == nullptr || node->kind == ConfigNode::Kind::kNull) return;
  report_.places[Path(name)] = node->place;  // "auto" is a value here
  if (!Parse(*node, &value)) Fail(*node, name, StrCat("expected text, got ", node->Describe()));
}
void FieldReader::Field(std::string_view name, std::vector<int64_t>& value, std::string_view) { ReadList(name, value); }
void FieldReader::Field(std::string_view name, std::vector<double>& value, std::string_view) { ReadList(name, value); }
void FieldReader::Field(std::string_view name, std::vector<std::string>& value, std::string_view) {
  ReadList(name, value);
}
void FieldReader::Field(std::string_view name, std::optional<int64_t>& value, std::string_view) {
  ReadOptional(name, value);
}
void FieldReader::Field(std::string_view name, std::optional<double>& value, std::string_view) {
  ReadOptional(name, value);
}
void FieldReader::Field(std::string_view name, std::optional<bool>& value, std::string_view) {
  ReadOptional(name, value);
}
void FieldReader::Field(std::string_view name, std::optional<std::string>& value, std::string_view) {
  ReadOptional(name, value);
}

void FieldReader::ChoiceIndex(std::string_view name, int& index, const std::vector<std::string_view>& names,
                              std::string_view) {
  const ConfigNode* node = TakeField(name);
  if (node == nullptr || node->kind == ConfigNode::Kind::kNull) return;
  for (size_t i = 0; i < names.size(); ++i) {
    if (node->kind == ConfigNode::Kind::kScalar && absl::EqualsIgnoreCase(node->text, ToAbsl(names[i]))) {
      index = static_cast<int>(i);
      report_.places[Path(name)] = node->place;  // "auto" can be one of the names
      return;
    }
  }
  if (node->IsUnset()) return;
  std::string list;
  for (const std::string_view each : names) StrAppend(&list, list.empty() ? "" : ", ", each);
  Fail(*node, name, StrCat("expected one of ", list, ", got ", node->Describe()));
}

void FieldReader::Ignored(std::string_view name, std::string_view why) {
  const ConfigNode* node = Take(name);
  if (node == nullptr || node->IsUnset()) return;
  report_.notices.push_back(StrCat(node->place.ToString(), ": ", Path(name), ": has no effect here: ", why));
}

void FieldReader::Refused(std::string_view name, std::string_view why) {
  const ConfigNode* node = Take(name);
  if (node != nullptr && !IsOff(*node)) Fail(*node, name, StrCat("cannot be honoured: ", why));
}

void FieldReader::Fixed(std::string_view name, std::string_view value, std::string_view why) {
  const ConfigNode* node = Take(name);
  if (node == nullptr || node->IsUnset()) return;
  double number, wanted;
  const bool same_number = Parse(*node, &number) && ParseNumber(value, &wanted) && number == wanted;
  if (same_number || (node->kind == ConfigNode::Kind::kScalar && absl::EqualsIgnoreCase(node->text, ToAbsl(value))))
    return;
  Fail(*node, name, StrCat("only ", value, " can be honoured, got ", node->Describe(), ": ", why));
}

}  // namespace weft
