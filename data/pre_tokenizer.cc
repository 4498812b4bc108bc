// The kinds of pre-tokenizers: those that rewrite text have a class each, those that only cut are one class with a
// pattern and a behavior.
#include "data/pre_tokenizer.h"

#include <optional>

#include "absl/strings/str_replace.h"
#include "data/byte_alphabet.h"
#include "data/metaspace.h"
#include "data/regex.h"

namespace weft {
namespace {

// GPT-2's: contractions, words, numbers and other signs with the space before them, then spaces.
constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Words, and runs of signs. This one is Rust's `\w+|[^\w\s]+`, whose \w is that of UTS 18.
constexpr char kWhitespacePattern[] =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\s]+)";

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  void Cut(Pieces* pieces) const override {
    for (const auto& part : parts_) part->Cut(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

// What becomes of the matches of a pattern (the delimiters): dropped, pieces of their own, or joined to a neighbour.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

class SplitByPattern : public PreTokenizer {
 public:
  // `invert`: the delimiters are what lies between the matches.
  SplitByPattern(Regex regex, Behavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

  void Cut(Pieces* pieces) const override {
    const std::vector<Pieces::Span> whole = std::move(pieces->spans);
    pieces->spans.clear();
    std::vector<Regex::Match> matches;
    for (const Pieces::Span& span : whole) {
      regex_.FindAll(std::string_view(pieces->text).substr(span.begin, span.end - span.begin), &matches);
      Join join{*this, &pieces->spans};
      size_t done = span.begin;
      for (const Regex::Match& match : matches) {
        join.Add({done, span.begin + match.begin}, invert_);
        join.Add({span.begin + match.begin, span.begin + match.end}, !invert_);
        done = span.begin + match.end;
      }
      join.Add({done, span.end}, invert_);
    }
  }

 private:
  // Takes the parts of one piece from left to right.
  struct Join {
    const SplitByPattern& split;
    std::vector<Pieces::Span>* spans;
    bool open = false;  // the last span takes the next part
    bool last_is_delimiter = false;

    void Add(Pieces::Span part, bool is_delimiter) {
      if (part.begin == part.end || (split.behavior_ == Behavior::kRemoved && is_delimiter)) return;
      if (open && Joins(is_delimiter)) {
        spans->back().end = part.end;
      } else {
        spans->push_back(part);
      }
      open = true;
      last_is_delimiter = is_delimiter;
    }

    bool Joins(bool is_delimiter) const {
      if (split.behavior_ == Behavior::kMergedWithPrevious) return is_delimiter && !last_is_delimiter;
      if (split.behavior_ == Behavior::kMergedWithNext) return last_is_delimiter && !is_delimiter;
      return split.behavior_ == Behavior::kContiguous && last_is_delimiter == is_delimiter;
    }
  };

  Regex regex_;
  Behavior behavior_;
  bool invert_;
};

// Bytes as letters of the byte alphabet, after a space in front and GPT-2's cut where asked for.
class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, std::unique_ptr<PreTokenizer> cut)
      : add_prefix_space_(add_prefix_space), cut_(std::move(cut)) {}

  void Cut(Pieces* pieces) const override {
    if (add_prefix_space_) Rewrite(pieces, [](std::string_view piece, std::string* text) {
      if (piece.front() != ' ') text->push_back(' ');
      text->append(piece);
    });
    if (cut_ != nullptr) cut_->Cut(pieces);
    Rewrite(pieces, AppendByteAlphabet);
  }

 private:
  template <typename Append>
  static void Rewrite(Pieces* pieces, Append append) {
    std::string text;
    text.reserve(pieces->text.size() * 5 / 4);
    for (size_t i = 0; i < pieces->spans.size(); ++i) {
      const size_t begin = text.size();
      append((*pieces)[i], &text);
      pieces->spans[i] = {begin, text.size()};
    }
    pieces->text = std::move(text);
  }

  bool add_prefix_space_;
  std::unique_ptr<PreTokenizer> cut_;  // null: none
};

// Spaces as a visible sign, one in front of the text, and a cut before every sign.
class MetaspacePreTokenizer : public PreTokenizer {
 public:
  MetaspacePreTokenizer(Metaspace options, std::unique_ptr<PreTokenizer> cut)
      : options_(std::move(options)), cut_(std::move(cut)) {}

  void Cut(Pieces* pieces) const override {
    std::string text;
    text.reserve(pieces->text.size() * 3 / 2);
    for (size_t i = 0; i < pieces->spans.size(); ++i) {
      const std::string_view piece = (*pieces)[i];
      const size_t begin = text.size();
      const bool has_sign = piece.front() == ' ' || piece.starts_with(options_.replacement);
      const bool may_prepend = options_.scheme == Metaspace::Scheme::kAlways ||
                               (options_.scheme == Metaspace::Scheme::kFirst && pieces->begins_text && i == 0);
      if (may_prepend && !has_sign) text += options_.replacement;
      for (const char c : piece) {
        if (c == ' ') {
          text += options_.replacement;
        } else {
          text.push_back(c);
        }
      }
      pieces->spans[i] = {begin, text.size()};
    }
    pieces->text = std::move(text);
    if (cut_ != nullptr) cut_->Cut(pieces);
  }

 private:
  Metaspace options_;
  std::unique_ptr<PreTokenizer> cut_;  // null: none
};

StatusOr<std::unique_ptr<PreTokenizer>> MakeSplit(const JsonView& json, const std::string& pattern, Behavior behavior,
                                                  bool invert = false) {
  StatusOr<Regex> regex = Regex::Compile(pattern);
  if (!regex.ok()) return WithContext(regex.status(), json.path());
  return std::make_unique<SplitByPattern>(*std::move(regex), behavior, invert);
}

std::string QuoteLiteral(std::string_view literal) {
  return StrCat("\\Q", absl::StrReplaceAll(ToAbsl(literal), {{"\\E", "\\E\\\\E\\Q"}}), "\\E");
}

StatusOr<std::unique_ptr<PreTokenizer>> ParseSequence(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const JsonView list, json.Get("pretokenizers"));
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, list.Items());
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), ParsePreTokenizer(item));
  }
  return std::make_unique<SequencePreTokenizer>(std::move(parts));
}

StatusOr<std::unique_ptr<PreTokenizer>> ParseByteLevel(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const bool add_prefix_space, json.BoolOr("add_prefix_space", true));
  WEFT_ASSIGN_OR_RETURN(const bool use_regex, json.BoolOr("use_regex", true));
  std::unique_ptr<PreTokenizer> cut;
  if (use_regex) {
    WEFT_ASSIGN_OR_RETURN(cut, MakeSplit(json, kGpt2Pattern, Behavior::kIsolated));
  }
  return std::make_unique<ByteLevel>(add_prefix_space, std::move(cut));
}

StatusOr<std::unique_ptr<PreTokenizer>> ParseMetaspace(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(Metaspace options, Metaspace::Parse(json));
  WEFT_ASSIGN_OR_RETURN(const bool split, json.BoolOr("split", true));
  std::unique_ptr<PreTokenizer> cut;
  if (split) {
    WEFT_ASSIGN_OR_RETURN(cut, MakeSplit(json, QuoteLiteral(options.replacement), Behavior::kMergedWithNext));
  }
  return std::make_unique<MetaspacePreTokenizer>(std::move(options), std::move(cut));
}

StatusOr<Behavior> ParseBehavior(const JsonView& json, std::string absent) {
  WEFT_ASSIGN_OR_RETURN(const std::string name, json.StringOr("behavior", std::move(absent)));
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return json.Error("there is no behavior '", name, "'");
}

StatusOr<std::unique_ptr<PreTokenizer>> ParseSplit(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const Behavior behavior, ParseBehavior(json, ""));
  WEFT_ASSIGN_OR_RETURN(const bool invert, json.BoolOr("invert", false));
  WEFT_ASSIGN_OR_RETURN(const JsonView pattern, json.Get("pattern"));
  WEFT_ASSIGN_OR_RETURN(const std::string expression, pattern.StringOr("Regex", ""));
  if (!expression.empty()) return MakeSplit(pattern, expression, behavior, invert);
  WEFT_ASSIGN_OR_RETURN(const std::string literal, pattern.String("String"));
  if (literal.empty()) return pattern.Error("the pattern is empty");
  return MakeSplit(pattern, QuoteLiteral(literal), behavior, invert);
}

}  // namespace

StatusOr<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonView& json) {
  if (json.is_null()) return std::make_unique<SequencePreTokenizer>(std::vector<std::unique_ptr<PreTokenizer>>());
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.String("type"));
  if (type == "Sequence") return ParseSequence(json);
  if (type == "ByteLevel") return ParseByteLevel(json);
  if (type == "Metaspace") return ParseMetaspace(json);
  if (type == "Split") return ParseSplit(json);
  if (type == "Whitespace") return MakeSplit(json, kWhitespacePattern, Behavior::kRemoved, /*invert=*/true);
  if (type == "WhitespaceSplit") return MakeSplit(json, R"(\s)", Behavior::kRemoved);
  if (type == "Digits") {
    WEFT_ASSIGN_OR_RETURN(const bool individual, json.BoolOr("individual_digits", false));
    return MakeSplit(json, R"(\p{N})", individual ? Behavior::kIsolated : Behavior::kContiguous);
  }
  if (type == "Punctuation") {
    WEFT_ASSIGN_OR_RETURN(const Behavior behavior, ParseBehavior(json, "Isolated"));
    return MakeSplit(json, R"([\p{P}$+<=>^`|~])", behavior);  // Unicode's, and ASCII's signs that are symbols there
  }
  if (type == "CharDelimiterSplit") {
    WEFT_ASSIGN_OR_RETURN(const std::string delimiter, json.String("delimiter"));
    if (delimiter.empty()) return json.Error("the delimiter is empty");
    return MakeSplit(json, QuoteLiteral(delimiter), Behavior::kRemoved);
  }
  return json.Error("pre-tokenizers of type '", type,
                    "' are not supported; supported are Sequence, ByteLevel, Metaspace, Split, Digits, Punctuation, "
                    "Whitespace, WhitespaceSplit and CharDelimiterSplit");
}

}  // namespace weft
