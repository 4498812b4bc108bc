// One pass over the source; a tag's edges decide what is left of the text around it.
#include "data/jinja/lexer.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "core/utf8.h"
#include "data/jinja/budget.h"
#include "data/jinja/string_literal.h"
#include "data/jinja/text.h"
#include "data/utf8.h"

namespace weft::jinja {
namespace {

bool IsNameCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool IsNumeral(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

// \r\n and \r are line breaks too; one line break at the very end does not count.
std::string NormalizeLineBreaks(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  Lexer(std::string source, std::string_view name) : source_(std::move(source)), name_(name) {}
  StatusOr<std::vector<Token>> Run();

 private:
  enum class Tag { kPrint, kBlock, kComment, kRaw };

  Status LexTag(size_t begin);
  Status LexComment();
  Status LexRaw(size_t text_begin);
  Status LexInside(bool is_block);
  Status LexToken();
  Status LexString();
  void LexNumber();
  Status LexOperator();
  // Writes the text up to the tag at `end`, less what the tag's edge or lstrip_blocks takes.
  void AddText(size_t begin, size_t end, char edge, bool strips_line);
  bool AtTagEnd(std::string_view closing, size_t* length) const;
  void EndTag(size_t length, char edge, bool trims_line_break);
  size_t RawTagLength(size_t begin, std::string_view word, char* close_edge) const;

  Status Error(std::string_view message) const { return UserError(name_, ":", line_, ": ", message); }
  std::string_view Rest() const { return std::string_view(source_).substr(position_); }
  char At(size_t i) const { return i < source_.size() ? source_[i] : '\0'; }
  void Advance(size_t length) {
    line_ += static_cast<int>(std::count(source_.begin() + position_, source_.begin() + position_ + length, '\n'));
    position_ += length;
  }
  void Emit(Token::Kind kind, std::string text = "") { tokens_.push_back({kind, std::move(text), line_}); }

  const std::string source_;
  const std::string_view name_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // nothing but a line break comes before position_
  std::vector<char> open_;     // closing brackets that are awaited
  std::vector<Token> tokens_;
};

void Lexer::AddText(size_t begin, size_t end, char edge, bool strips_line) {
  std::string_view text = std::string_view(source_).substr(begin, end - begin);
  if (edge == '-') {
    text = text.substr(0, SkipSpaceBack(text, text.size()));
  } else if (edge != '+' && strips_line) {
    const size_t line_begin = text.rfind('\n') + 1;  // 0 where there is none
    const bool begins_line = line_begin > 0 || line_starting_;
    if (begins_line && SkipSpace(text, line_begin) == text.size()) text = text.substr(0, line_begin);
  }
  if (!text.empty()) Emit(Token::Kind::kText, std::string(text));
}

// Ends a tag whose closing characters are `length` long.
void Lexer::EndTag(size_t length, char edge, bool trims_line_break) {
  size_t end = position_ + length;
  if (edge == '-') {
    end = SkipSpace(source_, end);
  } else if (edge != '+' && trims_line_break && At(end) == '\n') {
    ++end;
  }
  line_starting_ = source_[end - 1] == '\n';
  Advance(end - position_);
}

Status Lexer::LexComment() {
  const size_t close = source_.find("#}", position_);
  if (close == std::string::npos) return Error("the comment {# is not closed by #}");
  const char edge = close > position_ ? At(close - 1) : '\0';
  Advance(close - position_);
  EndTag(2, edge == '-' || edge == '+' ? edge : '\0', /*trims_line_break=*/true);
  return absl::OkStatus();
}

// The length of {% word %} at `begin`, edges included, or 0 where it is something else.
size_t Lexer::RawTagLength(size_t begin, std::string_view word, char* close_edge) const {
  size_t i = begin + 2;
  if (At(i) == '-' || At(i) == '+') ++i;
  i = SkipSpace(source_, i);
  if (source_.compare(i, word.size(), word) != 0) return 0;
  i = SkipSpace(source_, i + word.size());
  *close_edge = At(i) == '-' || At(i) == '+' ? source_[i++] : '\0';
  return source_.compare(i, 2, "%}") == 0 ? i + 2 - begin : 0;
}

// After {% raw %}: all is text up to {% endraw %}.
Status Lexer::LexRaw(size_t text_begin) {
  for (size_t at = source_.find("{%", text_begin); at != std::string::npos; at = source_.find("{%", at + 2)) {
    char close_edge = '\0';
    const size_t length = RawTagLength(at, "endraw", &close_edge);
    if (length == 0) continue;
    const char open_edge = At(at + 2);
    AddText(text_begin, at, open_edge == '-' || open_edge == '+' ? open_edge : '\0', /*strips_line=*/true);
    Advance(at - position_);
    EndTag(length, close_edge, /*trims_line_break=*/true);
    return absl::OkStatus();
  }
  return Error("{% raw %} is not closed by {% endraw %}");
}

// A tag opens at `begin`, behind text from position_ on.
Status Lexer::LexTag(size_t begin) {
  const char what = source_[begin + 1];
  char close_edge = '\0';
  const size_t raw_length = what == '%' ? RawTagLength(begin, "raw", &close_edge) : 0;
  char edge = At(begin + 2);
  if (edge != '-' && edge != '+') edge = '\0';
  AddText(position_, begin, edge, /*strips_line=*/what != '{');
  Advance(begin - position_);
  if (raw_length > 0) {
    EndTag(raw_length, close_edge, /*trims_line_break=*/false);
    return LexRaw(position_);
  }
  if (what == '#') {
    Advance(2 + (edge != '\0'));
    return LexComment();
  }
  Emit(what == '{' ? Token::Kind::kPrintBegin : Token::Kind::kBlockBegin);
  Advance(2 + (edge != '\0'));
  return LexInside(/*is_block=*/what == '%');
}

bool Lexer::AtTagEnd(std::string_view closing, size_t* length) const {
  if (!open_.empty()) return false;
  const char c = At(position_);
  const size_t edge = c == '-' || (c == '+' && closing == "%}") ? 1 : 0;
  *length = edge + 2;
  return Rest().substr(edge, 2) == closing;
}

Status Lexer::LexInside(bool is_block) {
  const std::string_view closing = is_block ? "%}" : "}}";
  const int opening_line = line_;
  const size_t first = tokens_.size();
  while (position_ < source_.size()) {
    size_t length = 0;
    if (AtTagEnd(closing, &length)) {
      Emit(is_block ? Token::Kind::kBlockEnd : Token::Kind::kPrintEnd);
      EndTag(length, length == 3 ? At(position_) : '\0', /*trims_line_break=*/is_block);
      return absl::OkStatus();
    }
    const size_t after_space = SkipSpace(source_, position_);
    if (after_space > position_) {
      Advance(after_space - position_);
    } else {
      WEFT_RETURN_IF_ERROR(LexToken());
      if (tokens_.size() - first > kMaxTagTokens) return Error(StrCat("a tag of more than ", kMaxTagTokens, " tokens"));
    }
  }
  line_ = opening_line;
  return Error(StrCat("this ", is_block ? "{%" : "{{", " is not closed by ", closing));
}

Status Lexer::LexToken() {
  const char c = At(position_);
  if (IsNumeral(c)) {
    LexNumber();
    return absl::OkStatus();
  }
  if (IsNameCharacter(c)) {
    size_t length = 1;
    while (IsNameCharacter(At(position_ + length))) ++length;
    Emit(Token::Kind::kName, std::string(Rest().substr(0, length)));
    Advance(length);
    return absl::OkStatus();
  }
  return c == '"' || c == '\'' ? LexString() : LexOperator();
}

// 12, 1_000, 0x1f, 1.5, 2e3. A number that is not one ("12ab") is an integer and a name, as in Jinja.
void Lexer::LexNumber() {
  size_t end = position_;
  const auto digits = [&](auto is_digit) {
    while (is_digit(At(end)) || (At(end) == '_' && is_digit(At(end + 1)))) ++end;
  };
  Token::Kind kind = Token::Kind::kInteger;
  const char base = At(position_) == '0' ? static_cast<char>(std::tolower(At(position_ + 1))) : '\0';
  const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  if ((base == 'x' && is_hex(At(end + 2))) || ((base == 'b' || base == 'o') && IsNumeral(At(end + 2)))) {
    end += 2;
    digits(is_hex);
  } else {
    digits(IsNumeral);
    if (At(end) == '.' && IsNumeral(At(end + 1))) {
      kind = Token::Kind::kFloat;
      ++end;
      digits(IsNumeral);
    }
    const size_t sign = At(end + 1) == '+' || At(end + 1) == '-' ? 1 : 0;
    if ((At(end) == 'e' || At(end) == 'E') && IsNumeral(At(end + 1 + sign))) {
      kind = Token::Kind::kFloat;
      end += 1 + sign;
      digits(IsNumeral);
    }
  }
  std::string text = source_.substr(position_, end - position_);
  std::erase(text, '_');
  Emit(kind, std::move(text));
  Advance(end - position_);
}

Status Lexer::LexString() {
  const char quote = source_[position_];
  size_t end = position_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) return Error("this string is not closed");
  StatusOr<std::string> text = Unescape(std::string_view(source_).substr(position_ + 1, end - position_ - 1));
  if (!text.ok()) return Error(ToStd(text.status().message()));
  Emit(Token::Kind::kString, *std::move(text));
  Advance(end + 1 - position_);
  return absl::OkStatus();
}

Status Lexer::LexOperator() {
  static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
  const std::string_view rest = Rest();
  size_t length = std::find(std::begin(kTwo), std::end(kTwo), rest.substr(0, 2)) != std::end(kTwo) ? 2 : 1;
  if (length == 1 && std::string_view("+-*/%~[](){}<>=.:|,;").find(rest[0]) == std::string_view::npos) {
    return Error(StrCat("unexpected character '", rest.substr(0, CodePointAt(rest, 0).length), "'"));
  }
  const char c = length == 1 ? rest[0] : '\0';
  if (c == '(') open_.push_back(')');
  if (c == '[') open_.push_back(']');
  if (c == '{') open_.push_back('}');
  if (c == ')' || c == ']' || c == '}') {
    if (open_.empty()) return Error(StrCat("unexpected '", rest.substr(0, 1), "'"));
    if (open_.back() != c) {
      return Error(StrCat("unexpected '", rest.substr(0, 1), "', expected '", std::string(1, open_.back()), "'"));
    }
    open_.pop_back();
  }
  Emit(Token::Kind::kOperator, std::string(rest.substr(0, length)));
  Advance(length);
  return absl::OkStatus();
}

StatusOr<std::vector<Token>> Lexer::Run() {
  while (position_ < source_.size()) {
    size_t tag = position_;
    for (tag = source_.find('{', tag); tag != std::string::npos; tag = source_.find('{', tag + 1)) {
      if (At(tag + 1) == '{' || At(tag + 1) == '%' || At(tag + 1) == '#') break;
    }
    if (tag == std::string::npos) {
      Emit(Token::Kind::kText, source_.substr(position_));
      Advance(source_.size() - position_);
    } else {
      WEFT_RETURN_IF_ERROR(LexTag(tag));
    }
  }
  Emit(Token::Kind::kEnd);
  return std::move(tokens_);
}

}  // namespace

StatusOr<std::vector<Token>> Tokenize(std::string_view source, std::string_view name) {
  if (!IsUtf8(source)) return UserError(name, ": this template is not UTF-8");
  return Lexer(NormalizeLineBreaks(source), name).Run();
}

}  // namespace weft::jinja
