// The lexer of templates: text, and the tokens of {{ }}, {% %}, with white space handled as Hugging Face sets it.
//
// trim_blocks: the line break after a block or comment goes. lstrip_blocks: the blanks before a block or comment that
// begins its line go. '-' at a tag's edge takes all white space on that side, '+' leaves it. {% raw %} is text.
// After Jinja's documentation, "Template Designer Documentation", and jinja2.lexer's behaviour.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace weft::jinja {

struct Token {
  enum class Kind {
    kText, kPrintBegin, kPrintEnd, kBlockBegin, kBlockEnd, kName, kString, kInteger, kFloat, kOperator, kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  // kString: with its escapes resolved
  int line = 0;      // from 1

  bool Is(std::string_view op) const { return kind == Kind::kOperator && text == op; }
  bool IsName(std::string_view name) const { return kind == Kind::kName && text == name; }
};

// The last token is kEnd. `name` stands in messages: "name:line: ...".
StatusOr<std::vector<Token>> Tokenize(std::string_view source, std::string_view name);

}  // namespace weft::jinja
