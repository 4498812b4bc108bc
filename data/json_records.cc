// A scanner of brackets and strings.
#include "data/json_records.h"

#include <algorithm>

#include "data/jinja/json_value.h"
#include "data/validation_split.h"

namespace weft {
namespace {

constexpr size_t kMaxDepth = 100;  // as a parsed record may have
constexpr size_t kMaxKeys = size_t{1} << 24;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

JsonRecords::JsonRecords(std::string_view bytes, size_t max_record_bytes)
    : bytes_(bytes), max_record_bytes_(max_record_bytes) {}

std::string JsonRecords::Place() const {
  if (layout_ == Layout::kValues) return StrCat(":", line_);
  return StrCat(": record ", number_, " (line ", line_, ")");
}

size_t JsonRecords::SkipSpace(size_t at) const {
  while (at < bytes_.size() && IsSpace(bytes_[at])) ++at;
  return at;
}

void JsonRecords::MoveTo(size_t position) {
  line_ += std::count(bytes_.begin() + position_, bytes_.begin() + position, '\n');
  position_ = position;
}

JsonRecords::Extent JsonRecords::ExtentOfString(size_t begin) const {
  for (size_t i = begin + 1; i < bytes_.size(); ++i) {
    if (i - begin > max_record_bytes_) return {i, Flaw::kTooLarge};
    if (bytes_[i] == '"') return {i + 1, Flaw::kNone};
    if (bytes_[i] == '\\') ++i;
  }
  return {bytes_.size(), Flaw::kTruncated};
}

JsonRecords::Extent JsonRecords::ExtentOf(size_t begin) const {
  char open[kMaxDepth];
  size_t depth = 0;
  for (size_t i = begin; i < bytes_.size();) {
    if (i - begin > max_record_bytes_) return {i, Flaw::kTooLarge};
    const char c = bytes_[i];
    if (c == '"') {
      const Extent text = ExtentOfString(i);
      if (text.flaw != Flaw::kNone) return text;
      i = text.end;
    } else if (c == '{' || c == '[') {
      if (depth == kMaxDepth) return {i, Flaw::kTooDeep};
      open[depth++] = c;
      ++i;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return {i, i == begin ? Flaw::kBrackets : Flaw::kNone};  // of what is around a bare word
      if (open[--depth] != (c == '}' ? '{' : '[')) return {i, Flaw::kBrackets};
      ++i;
    } else if (depth == 0 && (c == ',' || c == ':' || IsSpace(c))) {
      return {i, i == begin ? Flaw::kBrackets : Flaw::kNone};  // behind a bare word
    } else {
      ++i;
      if (depth == 0) continue;  // a bare word: it ends at what follows
    }
    if (depth == 0) return {i, Flaw::kNone};
  }
  return {bytes_.size(), depth == 0 ? Flaw::kNone : Flaw::kTruncated};
}

// A single object whose members are all objects; of one that is larger than a record may be, those at its beginning.
bool JsonRecords::IsKeyed() const {
  const Extent whole = ExtentOf(position_);
  const bool is_large = whole.flaw == Flaw::kTooLarge;
  if (!is_large && (whole.flaw != Flaw::kNone || SkipSpace(whole.end) != bytes_.size())) return false;
  const auto is_at = [this](size_t at, char c) { return at < bytes_.size() && bytes_[at] == c; };
  size_t at = SkipSpace(position_ + 1);
  for (bool is_first = true; is_at(at, '"'); is_first = false) {
    if (is_large && at - position_ > max_record_bytes_) return true;
    const Extent key = ExtentOfString(at);
    if (key.flaw != Flaw::kNone) return !is_first;  // told when it is read
    at = SkipSpace(key.end);
    if (!is_at(at, ':')) return false;
    at = SkipSpace(at + 1);
    if (!is_at(at, '{')) return false;
    const Extent value = ExtentOf(at);
    if (value.flaw != Flaw::kNone) return !is_first;
    at = SkipSpace(value.end);
    if (is_at(at, '}')) return true;
    if (!is_at(at, ',')) return false;
    at = SkipSpace(at + 1);
  }
  return false;
}

// Whether the object at position_, which ends at `end`, has a member "_key" of its own.
bool JsonRecords::HasOwnKey(size_t end) const {
  constexpr std::string_view kOwnKey = "\"_key\"";
  if (bytes_.substr(position_, end - position_).find(kOwnKey) == std::string_view::npos) return false;
  for (size_t at = SkipSpace(position_ + 1); bytes_[at] == '"'; at = SkipSpace(at + 1)) {
    const size_t key_end = ExtentOfString(at).end;
    if (bytes_.substr(at, key_end - at) == kOwnKey) return true;
    at = SkipSpace(key_end);
    if (bytes_[at] != ':') return false;
    at = SkipSpace(ExtentOf(SkipSpace(at + 1)).end);
    if (bytes_[at] != ',') return false;  // at the end, or not JSON: told when it is parsed
  }
  return false;
}

void JsonRecords::FindLayout() {
  MoveTo(SkipSpace(bytes_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0));
  layout_ = IsAt('[') ? Layout::kList : IsAt('{') && IsKeyed() ? Layout::kKeyed : Layout::kValues;
  if (layout_ != Layout::kValues) MoveTo(position_ + 1);
}

StatusOr<bool> JsonRecords::FindNext() {
  MoveTo(SkipSpace(position_));
  if (layout_ == Layout::kValues) return position_ < bytes_.size();
  const char end = layout_ == Layout::kList ? ']' : '}';
  if (IsAt(end)) {
    MoveTo(SkipSpace(position_ + 1));
    if (position_ < bytes_.size()) return Error("something follows the '", std::string(1, end), "' that ends the records");
    return false;
  }
  if (number_ > 0 && position_ < bytes_.size()) {
    if (!IsAt(',')) return Error("expected ',' or '", std::string(1, end), "' behind it, found '", bytes_.substr(position_, 1), "'");
    MoveTo(SkipSpace(position_ + 1));
  }
  if (position_ < bytes_.size()) return true;
  return Error("the file ends behind it, without the '", std::string(1, end), "' that ends the records: is it whole?");
}

StatusOr<std::string> JsonRecords::TakeKey() {
  if (!IsAt('"')) return Error("expected a key in quotes");
  const Extent extent = ExtentOfString(position_);
  if (extent.flaw == Flaw::kTooLarge) return Error("its key is larger than ", max_record_bytes_, " bytes: is a quote not closed?");
  if (extent.flaw != Flaw::kNone) return Error("its key does not end: is the file whole?");
  std::string key(bytes_.substr(position_, extent.end - position_));
  MoveTo(SkipSpace(extent.end));
  if (!IsAt(':')) return Error("expected ':' behind the key ", key);
  MoveTo(SkipSpace(position_ + 1));
  if (!IsAt('{')) return Error("expected an object for the key ", key, ", as the others of this file are");
  return key;
}

Status JsonRecords::CheckKeyIsNew(const std::string& key) {
  StatusOr<jinja::Value> decoded = jinja::ParseJsonValue(key, "the key");
  if (!decoded.ok()) return WithContext(decoded.status(), Place());
  if (!keys_.insert(ContentHash(decoded->AsText()->bytes())).second) return Error("the key ", key, " is there twice");
  if (keys_.size() > kMaxKeys) {
    return Error("more than ", kMaxKeys, " records by key: make JSON Lines of them, one record a line");
  }
  return absl::OkStatus();
}

StatusOr<std::string_view> JsonRecords::TakeValue() {
  const Extent extent = ExtentOf(position_);
  switch (extent.flaw) {
    case Flaw::kNone: break;
    case Flaw::kTruncated: return Error("the file ends inside it: is it whole?");
    case Flaw::kTooDeep: return Error("nested more than ", kMaxDepth, " deep");
    case Flaw::kTooLarge: return Error("larger than ", max_record_bytes_, " bytes: is a quote or a bracket not closed?");
    case Flaw::kBrackets:
      return Error("not JSON: found '", bytes_.substr(extent.end, 1), "' where it cannot stand, at byte ",
                   extent.end - position_, " of it");
  }
  const std::string_view value = bytes_.substr(position_, extent.end - position_);
  return value;
}

StatusOr<std::optional<SourceRecord>> JsonRecords::Next() {
  if (layout_ == Layout::kUnknown) FindLayout();
  if (ended_) return std::nullopt;
  WEFT_ASSIGN_OR_RETURN(const bool found, FindNext());
  if (!found) {
    ended_ = true;
    return std::nullopt;
  }
  ++number_;
  SourceRecord record{.json = {}, .place = Place()};
  if (layout_ == Layout::kKeyed) {
    WEFT_ASSIGN_OR_RETURN(const std::string key, TakeKey());
    WEFT_RETURN_IF_ERROR(CheckKeyIsNew(key));
    WEFT_ASSIGN_OR_RETURN(const std::string_view value, TakeValue());
    const bool is_empty = value[SkipSpace(position_ + 1) - position_] == '}';
    const bool has_own = HasOwnKey(position_ + value.size());
    record.json = has_own ? std::string(value) : StrCat("{\"_key\": ", key, is_empty ? "" : ", ", value.substr(1));
    MoveTo(position_ + value.size());
  } else {
    WEFT_ASSIGN_OR_RETURN(const std::string_view value, TakeValue());
    record.json = value;
    MoveTo(position_ + value.size());
  }
  return record;
}

}  // namespace weft
