// The kinds of normalizers, one class each.
#include "data/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "core/check.h"
#include "data/byte_alphabet.h"
#include "data/text_replacement.h"
#include "data/utf8.h"

namespace weft {
namespace {

// Calls visit(CodePoint) for each of `text`.
template <typename Visit>
void ForEachCodePoint(std::string_view text, Visit visit) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = CodePointAt(text, i);
    visit(c);
    i += c.length;
  }
}

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
  std::string Normalize(std::string text) const override {
    for (const auto& part : parts_) text = part->Normalize(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string Normalize(std::string text) const override { return text.empty() ? text : prefix_ + text; }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(TextReplacement replacement) : replacement_(std::move(replacement)) {}
  std::string Normalize(std::string text) const override { return replacement_.Apply(text); }

 private:
  TextReplacement replacement_;
};

// Unicode's normalization forms (UAX 15).
class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(int options) : options_(static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE)) {}
  std::string Normalize(std::string text) const override {
    utf8proc_uint8_t* mapped = nullptr;
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &mapped, options_);
    WEFT_CHECK_GE(size, 0) << utf8proc_errmsg(size);  // text is UTF-8
    text.assign(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
    std::free(mapped);
    return text;
  }

 private:
  utf8proc_option_t options_;
};

// Simple lower case of every code point, and the one that has two.
class Lowercase : public Normalizer {
 public:
  std::string Normalize(std::string text) const override {
    std::string lower;
    lower.reserve(text.size());
    ForEachCodePoint(text, [&](const CodePoint& c) {
      if (c.value == 0x130) {
        lower += "i\u0307";
      } else {
        AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value))), &lower);
      }
    });
    return lower;
  }
};

class StripSpaces : public Normalizer {
 public:
  StripSpaces(bool left, bool right) : left_(left), right_(right) {}
  std::string Normalize(std::string text) const override {
    size_t begin = text.size(), end = 0, i = 0;  // of what is not space
    ForEachCodePoint(text, [&](const CodePoint& c) {
      if (!IsWhitespace(c.value)) {
        begin = std::min(begin, i);
        end = i + c.length;
      }
      i += c.length;
    });
    if (begin >= end) return left_ || right_ ? "" : text;
    if (!left_) begin = 0;
    return text.substr(begin, right_ ? end - begin : std::string::npos);
  }

 private:
  bool left_, right_;
};

// Takes out combining marks (after NFD, those are the accents).
class StripAccents : public Normalizer {
 public:
  std::string Normalize(std::string text) const override {
    std::string kept;
    ForEachCodePoint(text, [&](const CodePoint& c) {
      const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c.value));
      if (category < UTF8PROC_CATEGORY_MN || category > UTF8PROC_CATEGORY_ME) AppendUtf8(c.value, &kept);
    });
    return kept;
  }
};

class ByteLetters : public Normalizer {
 public:
  std::string Normalize(std::string text) const override { return ToByteAlphabet(text); }
};

StatusOr<std::unique_ptr<Normalizer>> ParseSequence(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const JsonView list, json.Get("normalizers"));
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, list.Items());
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), ParseNormalizer(item));
  }
  return std::make_unique<SequenceNormalizer>(std::move(parts));
}

}  // namespace

StatusOr<std::unique_ptr<Normalizer>> ParseNormalizer(const JsonView& json) {
  if (json.is_null()) return std::make_unique<SequenceNormalizer>(std::vector<std::unique_ptr<Normalizer>>());
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.String("type"));
  if (type == "Sequence") return ParseSequence(json);
  if (type == "Prepend") {
    WEFT_ASSIGN_OR_RETURN(std::string prefix, json.String("prepend"));
    return std::make_unique<Prepend>(std::move(prefix));
  }
  if (type == "Replace") {
    WEFT_ASSIGN_OR_RETURN(TextReplacement replacement, TextReplacement::Parse(json));
    return std::make_unique<Replace>(std::move(replacement));
  }
  if (type == "Strip") {
    WEFT_ASSIGN_OR_RETURN(const bool left, json.BoolOr("strip_left", true));
    WEFT_ASSIGN_OR_RETURN(const bool right, json.BoolOr("strip_right", true));
    return std::make_unique<StripSpaces>(left, right);
  }
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "ByteLevel") return std::make_unique<ByteLetters>();
  if (type == "NFC") return std::make_unique<UnicodeForm>(UTF8PROC_COMPOSE);
  if (type == "NFD") return std::make_unique<UnicodeForm>(UTF8PROC_DECOMPOSE);
  if (type == "NFKC") return std::make_unique<UnicodeForm>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  if (type == "NFKD") return std::make_unique<UnicodeForm>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  return json.Error("normalizers of type '", type,
                    "' are not supported; supported are Sequence, Prepend, Replace, Strip, StripAccents, "
                    "Lowercase, ByteLevel, NFC, NFD, NFKC and NFKD");
}

}  // namespace weft
