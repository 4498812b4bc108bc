// TokenStream: the tokens of a template as the parsers read them, and their errors.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/jinja/budget.h"
#include "data/jinja/lexer.h"

namespace weft::jinja {

class TokenStream {
 public:
  // `name` of the template must outlive the stream.
  TokenStream(std::vector<Token> tokens, std::string_view name) : tokens_(std::move(tokens)), name_(name) {}

  const Token& Now() const { return tokens_[next_]; }
  const Token& After() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
  Token Take() { return Now().kind == Token::Kind::kEnd ? Now() : tokens_[next_++]; }
  bool TakeIf(std::string_view op) { return Now().Is(op) && (++next_, true); }
  bool TakeIfName(std::string_view name) { return Now().IsName(name) && (++next_, true); }

  Status Expect(std::string_view op) { return TakeIf(op) ? absl::OkStatus() : Expected(StrCat("'", op, "'")); }
  Status ExpectBlockEnd() {
    if (Now().kind != Token::Kind::kBlockEnd) return Expected("'%}'");
    ++next_;
    return absl::OkStatus();
  }
  StatusOr<std::string> TakeName() {
    if (Now().kind != Token::Kind::kName) return Expected("a name");
    return Take().text;
  }

  template <typename... Parts>
  Status Error(const Parts&... parts) const {
    return UserError(name_, ":", Now().line, ": ", parts...);
  }
  Status Expected(std::string_view what) const { return Error("expected ", what, ", found ", Describe(Now())); }

  bool marks_generation = false;  // {% generation %} has come

  // What is nested in what: a Nested on the stack counts for as long as it lives.
  class Nested {
   public:
    explicit Nested(TokenStream& stream) : stream_(stream) { ++stream_.nesting_; }
    ~Nested() { --stream_.nesting_; }
    Nested(const Nested&) = delete;
    Status Check() const {
      if (stream_.nesting_ <= kMaxNesting) return absl::OkStatus();
      return stream_.Error("nested more than ", kMaxNesting, " deep");
    }

   private:
    TokenStream& stream_;
  };

 private:
  static std::string Describe(const Token& token) {
    switch (token.kind) {
      case Token::Kind::kText: return "text";
      case Token::Kind::kPrintBegin: return "'{{'";
      case Token::Kind::kPrintEnd: return "'}}'";
      case Token::Kind::kBlockBegin: return "'{%'";
      case Token::Kind::kBlockEnd: return "'%}'";
      case Token::Kind::kString: return "a string";
      case Token::Kind::kEnd: return "the end of the template";
      default: return StrCat("'", token.text, "'");
    }
  }

  std::vector<Token> tokens_;
  std::string_view name_;
  size_t next_ = 0;
  int nesting_ = 0;
};

}  // namespace weft::jinja
