// Values as YAML text, and the two layouts of them (see config_writer.h).
#include "core/config_writer.h"

#include <cstdio>

#include "core/check.h"
#include "core/config_number.h"
#include "core/str_cat.h"

namespace weft {
namespace {

// A scalar that YAML reads as this text without quotes. Numbers and words with a meaning get quotes.
bool IsPlain(std::string_view text) {
  if (text.empty() || text == "null" || text == "Null" || text == "NULL") return false;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!is_letter(text[0]) && text[0] != '/') return false;
  for (const char c : text) {
    if (!is_letter(c) && !(c >= '0' && c <= '9') && std::string_view("/_.-").find(c) == std::string_view::npos)
      return false;
  }
  return true;
}

std::string Text(const std::string& value) {
  if (IsPlain(value)) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\x%02x", c);
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(int64_t value) { return StrCat(value); }
std::string Text(double value) { return PrintNumber(value); }

template <typename T>
std::string Text(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) StrAppend(&text, text.empty() ? "[" : ", ", Text(value));
  return text.empty() ? "[]" : text + "]";
}

template <typename T>
std::string Text(const std::optional<T>& value) {
  return value.has_value() ? Text(*value) : "null";
}

std::string Indent(size_t depth) { return std::string(2 * depth, ' '); }

}  // namespace

void FieldWriter::Field(std::string_view name, bool& value, std::string_view help) {
  Write(name, "true or false", Text(value), help);
}
void FieldWriter::Field(std::string_view name, int64_t& value, std::string_view help) {
  Write(name, "integer", Text(value), help);
}
void FieldWriter::Field(std::string_view name, double& value, std::string_view help) {
  Write(name, "number", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::string& value, std::string_view help) {
  Write(name, "text", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::vector<int64_t>& value, std::string_view help) {
  Write(name, "list of integers", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::vector<double>& value, std::string_view help) {
  Write(name, "list of numbers", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::vector<std::string>& value, std::string_view help) {
  Write(name, "list of texts", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::optional<int64_t>& value, std::string_view help) {
  Write(name, "integer", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::optional<double>& value, std::string_view help) {
  Write(name, "number", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::optional<bool>& value, std::string_view help) {
  Write(name, "true or false", Text(value), help);
}
void FieldWriter::Field(std::string_view name, std::optional<std::string>& value, std::string_view help) {
  Write(name, "text", Text(value), help);
}

void FieldWriter::ChoiceIndex(std::string_view name, int& index, const std::vector<std::string_view>& names,
                              std::string_view help) {
  WEFT_CHECK(index >= 0 && static_cast<size_t>(index) < names.size()) << name << " has value " << index;
  std::string type;
  for (const std::string_view each : names) StrAppend(&type, type.empty() ? "" : ", ", each);
  Write(name, type, names[static_cast<size_t>(index)], help);
}

// --- YAML ------------------------------------------------------------------------------------------------------------

void YamlWriter::Write(std::string_view name, std::string_view, std::string_view value, std::string_view) {
  StrAppend(&text_, Indent(open_.size()), name, ": ", value, "\n");
}

bool YamlWriter::Enter(std::string_view name, std::string_view, bool optional, bool present) {
  if (optional && !present) return false;
  StrAppend(&text_, Indent(open_.size()), name, ":\n");
  open_.push_back({Open::kSection, text_.size()});
  return true;
}

std::optional<size_t> YamlWriter::EnterList(std::string_view name, std::string_view, size_t size) {
  StrAppend(&text_, Indent(open_.size()), name, ":\n");
  open_.push_back({Open::kList, text_.size()});
  return size;
}

void YamlWriter::EnterItem(size_t) { open_.push_back({Open::kItem, text_.size()}); }

void YamlWriter::Leave() {
  const Open closed = open_.back();
  const bool is_empty = text_.size() == closed.begin;
  if (closed.kind == Open::kItem) {
    if (is_empty) StrAppend(&text_, Indent(open_.size()), "{}\n");
    text_[closed.begin + Indent(open_.size() - 1).size()] = '-';  // before its first line
  } else if (is_empty) {
    text_.insert(text_.size() - 1, closed.kind == Open::kList ? " []" : " {}");
  }
  open_.pop_back();
}

// --- Reference -------------------------------------------------------------------------------------------------------

void ReferenceWriter::Row(std::string_view name, std::string_view type, std::string_view value, std::string_view help) {
  StrAppend(&text_, "| `");
  for (const std::string& section : sections_) StrAppend(&text_, section, ".");
  StrAppend(&text_, name, "` | ", type, " | ", value, " | ", help, " |\n");
}

void ReferenceWriter::Write(std::string_view name, std::string_view type, std::string_view value,
                            std::string_view help) {
  const bool is_unset = value == "null" || value == "\"\"";
  Row(name, type, is_unset ? "" : StrCat("`", value, "`"), help);
}

bool ReferenceWriter::Enter(std::string_view name, std::string_view help, bool, bool) {
  Row(name, "section", "", help);
  sections_.emplace_back(name);
  return true;
}

void ReferenceWriter::Leave() { sections_.pop_back(); }

std::optional<size_t> ReferenceWriter::EnterList(std::string_view name, std::string_view help, size_t) {
  Row(name, "list of sections", "", help);
  sections_.emplace_back(name);
  return 1;  // shows what one of them has
}

void ReferenceWriter::EnterItem(size_t) { sections_.emplace_back("N"); }

void ReferenceWriter::Alias(std::string_view alias, std::string_view name) {
  Row(alias, "", "", StrCat("another name of `", name, "`"));
}
void ReferenceWriter::Ignored(std::string_view name, std::string_view why) {
  Row(name, "", "", StrCat("accepted without effect: ", why));
}
void ReferenceWriter::Refused(std::string_view name, std::string_view why) {
  Row(name, "", "", StrCat("refused: ", why));
}
void ReferenceWriter::Fixed(std::string_view name, std::string_view value, std::string_view why) {
  Row(name, "", "", StrCat("`", value, "` only: ", why));
}

}  // namespace weft
