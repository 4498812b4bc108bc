// The kinds of pre-tokenizers, one class each.
#include "data/pre_tokenizer.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_replace.h"
#include "core/check.h"
#include "data/byte_alphabet.h"
#include "data/regex.h"

namespace weft {
namespace {

// GPT-2's: contractions, words, numbers and other signs with the space before them, then spaces.
constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  std::vector<std::string> Cut(std::vector<std::string> pieces) const override {
    for (const auto& part : parts_) pieces = part->Cut(std::move(pieces));
    return pieces;
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

// Part of a piece, and whether it is a match of the pattern.
struct Part {
  std::string_view text;
  bool matched;
};

std::vector<Part> PartsOf(std::string_view text, const Regex& regex) {
  std::vector<Part> parts;
  size_t done = 0;
  for (const auto& [begin, end] : regex.FindAll(text)) {
    if (begin > done) parts.push_back({text.substr(done, begin - done), false});
    parts.push_back({text.substr(begin, end - begin), true});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), false});
  return parts;
}

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// What becomes of the matches (the delimiters): dropped, pieces of their own, or joined to a neighbour.
void Join(const std::vector<Part>& parts, Behavior behavior, std::vector<std::string>* pieces) {
  bool open = false;  // the last piece takes the next part
  bool last_matched = false;
  for (const Part& part : parts) {
    if (behavior == Behavior::kRemoved && part.matched) continue;
    const bool joins = behavior == Behavior::kMergedWithPrevious ? open && part.matched && !last_matched
                       : behavior == Behavior::kMergedWithNext   ? open && last_matched && !part.matched
                       : behavior == Behavior::kContiguous       ? open && last_matched == part.matched
                                                                 : false;
    if (joins) {
      pieces->back().append(part.text);
    } else {
      pieces->emplace_back(part.text);
    }
    open = true;
    last_matched = part.matched;
  }
}

class SplitByPattern : public PreTokenizer {
 public:
  SplitByPattern(Regex regex, Behavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  std::vector<std::string> Cut(std::vector<std::string> pieces) const override {
    std::vector<std::string> cut;
    for (const std::string& piece : pieces) {
      std::vector<Part> parts = PartsOf(piece, regex_);
      if (invert_) {
        for (Part& part : parts) part.matched = !part.matched;
      }
      Join(parts, behavior_, &cut);
    }
    return cut;
  }

 private:
  Regex regex_;
  Behavior behavior_;
  bool invert_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, std::optional<Regex> regex)
      : add_prefix_space_(add_prefix_space), regex_(std::move(regex)) {}
  std::vector<std::string> Cut(std::vector<std::string> pieces) const override {
    std::vector<std::string> cut;
    for (std::string& piece : pieces) {
      if (add_prefix_space_ && !piece.empty() && piece.front() != ' ') piece.insert(piece.begin(), ' ');
      if (!regex_.has_value()) {
        cut.push_back(ToByteAlphabet(piece));
        continue;
      }
      for (const Part& part : PartsOf(piece, *regex_)) cut.push_back(ToByteAlphabet(part.text));
    }
    return cut;
  }

 private:
  bool add_prefix_space_;
  std::optional<Regex> regex_;
};

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
  std::optional<Regex> regex;
  if (use_regex) {
    WEFT_ASSIGN_OR_RETURN(regex, Regex::Compile(kGpt2Pattern));
  }
  return std::make_unique<ByteLevel>(add_prefix_space, std::move(regex));
}

StatusOr<Behavior> ParseBehavior(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const std::string name, json.String("behavior"));
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return json.Error("there is no behavior '", name, "'");
}

StatusOr<std::unique_ptr<PreTokenizer>> ParseSplit(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const Behavior behavior, ParseBehavior(json));
  WEFT_ASSIGN_OR_RETURN(const bool invert, json.BoolOr("invert", false));
  WEFT_ASSIGN_OR_RETURN(const JsonView pattern, json.Get("pattern"));
  WEFT_ASSIGN_OR_RETURN(std::string expression, pattern.StringOr("Regex", ""));
  if (expression.empty()) {
    WEFT_ASSIGN_OR_RETURN(const std::string literal, pattern.String("String"));
    if (literal.empty()) return pattern.Error("the pattern is empty");
    expression = StrCat("\\Q", absl::StrReplaceAll(literal, {{"\\E", "\\E\\\\E\\Q"}}), "\\E");
  }
  StatusOr<Regex> regex = Regex::Compile(expression);
  if (!regex.ok()) return WithContext(regex.status(), pattern.path());
  return std::make_unique<SplitByPattern>(*std::move(regex), behavior, invert);
}

}  // namespace

StatusOr<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonView& json) {
  if (json.is_null()) return std::make_unique<SequencePreTokenizer>(std::vector<std::unique_ptr<PreTokenizer>>());
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.String("type"));
  if (type == "Sequence") return ParseSequence(json);
  if (type == "ByteLevel") return ParseByteLevel(json);
  if (type == "Split") return ParseSplit(json);
  return json.Error("pre-tokenizers of type '", type,
                    "' are not supported; supported are Sequence, ByteLevel and Split");
}

}  // namespace weft
