// Writers over a budget: what a value prints to may be far larger than the value, where parts are shared.
#include "data/jinja/printing.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "data/jinja/letter_case.h"
#include "data/utf8.h"

namespace weft::jinja {

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char digits[64];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), value, std::chars_format::scientific);
  const std::string scientific(digits, end.ptr);  // "-1.25e+02"
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return scientific;
  const std::to_chars_result fixed = std::to_chars(digits, digits + sizeof(digits), value, std::chars_format::fixed);
  std::string text(digits, fixed.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

namespace {

class Writer {
 public:
  explicit Writer(Budget& budget) : budget_(budget) {}
  Status Add(std::string_view bytes) { return Add(bytes, Origin{}); }
  Status Add(std::string_view bytes, Origin origin) {
    WEFT_RETURN_IF_ERROR(budget_.Allocate(bytes.size()));
    out_.Append(bytes, origin);
    return absl::OkStatus();
  }
  Status Add(const Text& text, size_t begin, size_t end) {
    WEFT_RETURN_IF_ERROR(budget_.Allocate(end - begin));
    out_.Append(text, begin, end);
    return absl::OkStatus();
  }
  Budget& budget() { return budget_; }
  Text Take() { return std::move(out_); }

 private:
  Budget& budget_;
  Text out_;
};

// Python prints what is a letter, mark, number, punctuation, symbol or the space; the rest it escapes.
std::string ReprEscape(char32_t c, char quote) {
  if (c == '\\') return "\\\\";
  if (c == static_cast<char32_t>(quote)) return {'\\', quote};
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  if (IsPrintable(c)) return "";
  const unsigned int value = c;
  if (c < 0x100) return absl::StrFormat("\\x%02x", value);
  return c < 0x10000 ? absl::StrFormat("\\u%04x", value) : absl::StrFormat("\\U%08x", value);
}

std::string JsonEscape(char32_t c, bool ensure_ascii) {
  switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\f': return "\\f";
    case '\b': return "\\b";
    default: break;
  }
  const unsigned int value = c;
  if (c < 0x20) return absl::StrFormat("\\u%04x", value);
  if (c < 0x7f || !ensure_ascii) return "";
  if (c < 0x10000) return c == 0x7f ? "" : absl::StrFormat("\\u%04x", value);
  return absl::StrFormat("\\u%04x\\u%04x", 0xd800 + ((value - 0x10000) >> 10), 0xdc00 + ((value - 0x10000) & 0x3ff));
}

// `escape`: a code point to what stands for it; empty for itself.
template <typename Escape>
Status WriteEscaped(const Text& text, const Escape& escape, Writer& out) {
  size_t plain = 0;  // where the run of code points begins that stand for themselves
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = CodePointAt(text.bytes(), i);
    const std::string escaped = escape(c.value);
    if (!escaped.empty()) {
      WEFT_RETURN_IF_ERROR(out.Add(text, plain, i));
      WEFT_RETURN_IF_ERROR(out.Add(escaped, text.OriginAt(i)));
      plain = i + c.length;
    }
    i += c.length;
  }
  return out.Add(text, plain, text.size());
}

Status WriteRepr(const Value& value, Writer& out);

Status WriteTextRepr(const Text& text, Writer& out) {
  const bool has_single = text.bytes().find('\'') != std::string::npos;
  const bool has_double = text.bytes().find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  WEFT_RETURN_IF_ERROR(out.Add({&quote, 1}));
  WEFT_RETURN_IF_ERROR(WriteEscaped(text, [&](char32_t c) { return ReprEscape(c, quote); }, out));
  return out.Add({&quote, 1});
}

Status WriteListRepr(const List& list, Writer& out) {
  WEFT_RETURN_IF_ERROR(out.Add(list.is_tuple ? "(" : "["));
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) WEFT_RETURN_IF_ERROR(out.Add(", "));
    WEFT_RETURN_IF_ERROR(WriteRepr(list.items[i], out));
  }
  if (!list.is_tuple) return out.Add("]");
  return out.Add(list.items.size() == 1 ? ",)" : ")");
}

Status WriteDictRepr(const Dict& dict, Writer& out) {
  WEFT_RETURN_IF_ERROR(out.Add("{"));
  bool first = true;
  for (const Dict::Entry& entry : dict.entries) {
    if (!std::exchange(first, false)) WEFT_RETURN_IF_ERROR(out.Add(", "));
    WEFT_RETURN_IF_ERROR(WriteTextRepr(entry.key, out));
    WEFT_RETURN_IF_ERROR(out.Add(": "));
    WEFT_RETURN_IF_ERROR(WriteRepr(entry.value, out));
  }
  return out.Add("}");
}

Status WriteRepr(const Value& value, Writer& out) {
  WEFT_RETURN_IF_ERROR(out.budget().Step());
  if (value.is_none()) return out.Add("None");
  if (value.is_undefined()) return out.Add("Undefined");
  if (value.AsBool() != nullptr) return out.Add(*value.AsBool() ? "True" : "False");
  if (value.AsInt() != nullptr) return out.Add(StrCat(*value.AsInt()));
  if (value.AsFloat() != nullptr) return out.Add(FloatRepr(*value.AsFloat()));
  if (value.AsText() != nullptr) return WriteTextRepr(*value.AsText(), out);
  if (value.AsList() != nullptr) return WriteListRepr(*value.AsList(), out);
  if (value.AsDict() != nullptr) return WriteDictRepr(*value.AsDict(), out);
  return UserError("a ", value.TypeName(), " cannot be written; was a call meant, with ()?");
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), out_(budget) {
    item_separator_ = style.item_separator.value_or(style.indent.has_value() ? "," : ", ");
    key_separator_ = style.key_separator.value_or(": ");
  }
  Status Write(const Value& value);
  Text Take() { return out_.Take(); }

 private:
  Status WriteText(const Text& text);
  Status WriteList(const List& list);
  Status WriteDict(const Dict& dict);
  Status NewLine();  // where indented
  Status Separate(bool first) {
    if (!first) WEFT_RETURN_IF_ERROR(out_.Add(item_separator_));
    return NewLine();
  }

  const JsonStyle& style_;
  Writer out_;
  std::string item_separator_, key_separator_;
  int depth_ = 0;
};

Status JsonWriter::NewLine() {
  if (!style_.indent.has_value()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(out_.Add("\n"));
  for (int i = 0; i < depth_; ++i) WEFT_RETURN_IF_ERROR(out_.Add(*style_.indent));
  return absl::OkStatus();
}

Status JsonWriter::WriteText(const Text& text) {
  WEFT_RETURN_IF_ERROR(out_.Add("\""));
  WEFT_RETURN_IF_ERROR(WriteEscaped(text, [&](char32_t c) { return JsonEscape(c, style_.ensure_ascii); }, out_));
  return out_.Add("\"");
}

Status JsonWriter::WriteList(const List& list) {
  if (list.items.empty()) return out_.Add("[]");
  WEFT_RETURN_IF_ERROR(out_.Add("["));
  ++depth_;
  for (size_t i = 0; i < list.items.size(); ++i) {
    WEFT_RETURN_IF_ERROR(Separate(i == 0));
    WEFT_RETURN_IF_ERROR(Write(list.items[i]));
  }
  --depth_;
  WEFT_RETURN_IF_ERROR(NewLine());
  return out_.Add("]");
}

Status JsonWriter::WriteDict(const Dict& dict) {
  if (dict.entries.empty()) return out_.Add("{}");
  std::vector<const Dict::Entry*> entries;
  for (const Dict::Entry& entry : dict.entries) entries.push_back(&entry);
  if (style_.sort_keys) {
    std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->key.bytes() < b->key.bytes(); });
  }
  WEFT_RETURN_IF_ERROR(out_.Add("{"));
  ++depth_;
  for (size_t i = 0; i < entries.size(); ++i) {
    WEFT_RETURN_IF_ERROR(Separate(i == 0));
    WEFT_RETURN_IF_ERROR(WriteText(entries[i]->key));
    WEFT_RETURN_IF_ERROR(out_.Add(key_separator_));
    WEFT_RETURN_IF_ERROR(Write(entries[i]->value));
  }
  --depth_;
  WEFT_RETURN_IF_ERROR(NewLine());
  return out_.Add("}");
}

Status JsonWriter::Write(const Value& value) {
  WEFT_RETURN_IF_ERROR(out_.budget().Step());
  if (value.is_none()) return out_.Add("null");
  if (value.AsBool() != nullptr) return out_.Add(*value.AsBool() ? "true" : "false");
  if (value.AsInt() != nullptr) return out_.Add(StrCat(*value.AsInt()));
  if (const double* number = value.AsFloat(); number != nullptr) {
    if (std::isnan(*number)) return out_.Add("NaN");
    if (std::isinf(*number)) return out_.Add(*number > 0 ? "Infinity" : "-Infinity");
    return out_.Add(FloatRepr(*number));
  }
  if (value.AsText() != nullptr) return WriteText(*value.AsText());
  if (value.AsList() != nullptr) return WriteList(*value.AsList());
  if (value.AsDict() != nullptr) return WriteDict(*value.AsDict());
  WEFT_RETURN_IF_ERROR(CheckDefined(value));
  return UserError("a ", value.TypeName(), " has no form in JSON");
}

}  // namespace

StatusOr<Text> ToText(const Value& value, Budget& budget) {
  if (value.is_undefined()) return Text();
  if (value.AsText() != nullptr) return *value.AsText();
  Writer out(budget);
  WEFT_RETURN_IF_ERROR(WriteRepr(value, out));
  return out.Take();
}

StatusOr<Text> ToJson(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonWriter writer(style, budget);
  WEFT_RETURN_IF_ERROR(writer.Write(value));
  return writer.Take();
}

}  // namespace weft::jinja
