// Statements: what stands between {% and %}, and the blocks they open and close.
#include <algorithm>

#include "data/jinja/parser.h"

namespace weft::jinja {
namespace {

using Nested = TokenStream::Nested;
using Ends = std::vector<std::string_view>;

// Parses up to {% and one of `ends`, whose name is then next; an empty list: to the end of the template.
StatusOr<Block> ParseBlock(TokenStream& tokens, const Ends& ends);

// The rest of a tag that closes a block: its name is next.
Status TakeEnd(TokenStream& tokens) {
  tokens.Take();
  return tokens.ExpectBlockEnd();
}

// %} body {% end %}
StatusOr<Block> ParseBody(TokenStream& tokens, std::string_view end) {
  WEFT_RETURN_IF_ERROR(tokens.ExpectBlockEnd());
  WEFT_ASSIGN_OR_RETURN(Block body, ParseBlock(tokens, {end}));
  WEFT_RETURN_IF_ERROR(TakeEnd(tokens));
  return body;
}

StatusOr<Target> ParseTarget(TokenStream& tokens) {
  Target target;
  const bool parenthesized = tokens.TakeIf("(");
  do {
    if (!target.names.empty() && tokens.Now().kind != Token::Kind::kName) break;  // "x," is a tuple of one
    WEFT_ASSIGN_OR_RETURN(std::string name, tokens.TakeName());
    target.names.push_back(std::move(name));
    if (tokens.Now().Is(",")) target.is_tuple = true;
  } while (tokens.TakeIf(",") && !tokens.Now().IsName("in"));
  if (parenthesized) WEFT_RETURN_IF_ERROR(tokens.Expect(")"));
  if (!target.is_tuple && tokens.TakeIf(".")) {
    WEFT_ASSIGN_OR_RETURN(target.attribute, tokens.TakeName());
  }
  return target;
}

StatusOr<If> ParseIf(TokenStream& tokens) {
  If statement;
  while (true) {
    If::Branch branch;
    if (tokens.Take().text != "else") {  // "if" or "elif"
      WEFT_ASSIGN_OR_RETURN(branch.condition, ParseTuple(tokens, /*with_conditional=*/true));
    }
    WEFT_RETURN_IF_ERROR(tokens.ExpectBlockEnd());
    const Ends ends = branch.condition != nullptr ? Ends{"elif", "else", "endif"} : Ends{"endif"};
    WEFT_ASSIGN_OR_RETURN(branch.body, ParseBlock(tokens, ends));
    statement.branches.push_back(std::move(branch));
    if (tokens.Now().IsName("endif")) break;
  }
  WEFT_RETURN_IF_ERROR(TakeEnd(tokens));
  return statement;
}

StatusOr<For> ParseFor(TokenStream& tokens) {
  tokens.Take();
  For loop;
  WEFT_ASSIGN_OR_RETURN(loop.target, ParseTarget(tokens));
  if (!loop.target.attribute.empty()) return tokens.Error("a loop cannot bind an attribute");
  if (!tokens.TakeIfName("in")) return tokens.Expected("'in'");
  WEFT_ASSIGN_OR_RETURN(loop.iterable, ParseTuple(tokens, /*with_conditional=*/false));
  if (tokens.TakeIfName("if")) {
    WEFT_ASSIGN_OR_RETURN(loop.condition, ParseExpression(tokens));
  }
  if (tokens.Now().IsName("recursive")) return tokens.Error("recursive loops are not supported; use a macro");
  WEFT_RETURN_IF_ERROR(tokens.ExpectBlockEnd());
  WEFT_ASSIGN_OR_RETURN(loop.body, ParseBlock(tokens, {"else", "endfor"}));
  if (tokens.Now().IsName("else")) {
    WEFT_RETURN_IF_ERROR(TakeEnd(tokens));
    WEFT_ASSIGN_OR_RETURN(loop.otherwise, ParseBlock(tokens, {"endfor"}));
  }
  WEFT_RETURN_IF_ERROR(TakeEnd(tokens));
  return loop;
}

StatusOr<Statement> ParseSet(TokenStream& tokens) {
  const int line = tokens.Take().line;
  WEFT_ASSIGN_OR_RETURN(Target target, ParseTarget(tokens));
  if (tokens.TakeIf("=")) {
    Set set{std::move(target), nullptr};
    WEFT_ASSIGN_OR_RETURN(set.value, ParseTuple(tokens, /*with_conditional=*/true));
    WEFT_RETURN_IF_ERROR(tokens.ExpectBlockEnd());
    return Statement{std::move(set), line};
  }
  SetBlock set{std::move(target), {}, {}};
  if (tokens.TakeIf("|")) {
    WEFT_ASSIGN_OR_RETURN(set.filters, ParseFilterNames(tokens));
  }
  WEFT_ASSIGN_OR_RETURN(set.body, ParseBody(tokens, "endset"));
  return Statement{std::move(set), line};
}

StatusOr<std::vector<Parameter>> ParseParameters(TokenStream& tokens) {
  std::vector<Parameter> parameters;
  WEFT_RETURN_IF_ERROR(tokens.Expect("("));
  while (!tokens.TakeIf(")")) {
    if (!parameters.empty()) WEFT_RETURN_IF_ERROR(tokens.Expect(","));
    if (tokens.TakeIf(")")) break;
    Parameter parameter;
    WEFT_ASSIGN_OR_RETURN(parameter.name, tokens.TakeName());
    if (tokens.TakeIf("=")) {
      WEFT_ASSIGN_OR_RETURN(parameter.absent, ParseExpression(tokens));
    } else if (!parameters.empty() && parameters.back().absent != nullptr) {
      return tokens.Error("a parameter without a default after one with a default");
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

StatusOr<MacroDefinition> ParseMacro(TokenStream& tokens) {
  tokens.Take();
  MacroDefinition macro;
  WEFT_ASSIGN_OR_RETURN(macro.name, tokens.TakeName());
  WEFT_ASSIGN_OR_RETURN(macro.parameters, ParseParameters(tokens));
  WEFT_ASSIGN_OR_RETURN(macro.body, ParseBody(tokens, "endmacro"));
  return macro;
}

StatusOr<CallBlock> ParseCallBlock(TokenStream& tokens) {
  tokens.Take();
  CallBlock block;
  block.caller.name = "caller";
  if (tokens.Now().Is("(")) {
    WEFT_ASSIGN_OR_RETURN(block.caller.parameters, ParseParameters(tokens));
  }
  WEFT_ASSIGN_OR_RETURN(block.call, ParseExpression(tokens));
  if (!std::holds_alternative<Call>(block.call->node)) return tokens.Error("{% call %} wants a call of a macro");
  WEFT_ASSIGN_OR_RETURN(block.caller.body, ParseBody(tokens, "endcall"));
  return block;
}

StatusOr<With> ParseWith(TokenStream& tokens) {
  tokens.Take();
  With with;
  while (tokens.Now().kind == Token::Kind::kName) {
    std::string name = tokens.Take().text;
    WEFT_RETURN_IF_ERROR(tokens.Expect("="));
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression(tokens));
    with.variables.emplace_back(std::move(name), std::move(value));
    if (!tokens.TakeIf(",")) break;
  }
  WEFT_ASSIGN_OR_RETURN(with.body, ParseBody(tokens, "endwith"));
  return with;
}

StatusOr<FilterBlock> ParseFilterBlock(TokenStream& tokens) {
  tokens.Take();
  FilterBlock block;
  WEFT_ASSIGN_OR_RETURN(block.filters, ParseFilterNames(tokens));
  WEFT_ASSIGN_OR_RETURN(block.body, ParseBody(tokens, "endfilter"));
  return block;
}

template <typename Node>
StatusOr<Statement> At(int line, StatusOr<Node> node) {
  if (!node.ok()) return node.status();
  return Statement{*std::move(node), line};
}

// Behind "{%": the statement's name is next.
StatusOr<Statement> ParseStatement(TokenStream& tokens) {
  const int line = tokens.Now().line;
  const std::string name = tokens.Now().text;
  if (tokens.Now().kind != Token::Kind::kName) return tokens.Expected("the name of a statement");
  if (name == "if") return At(line, ParseIf(tokens));
  if (name == "for") return At(line, ParseFor(tokens));
  if (name == "set") return ParseSet(tokens);
  if (name == "macro") return At(line, ParseMacro(tokens));
  if (name == "call") return At(line, ParseCallBlock(tokens));
  if (name == "filter") return At(line, ParseFilterBlock(tokens));
  if (name == "with") return At(line, ParseWith(tokens));
  if (name == "generation") {
    tokens.Take();
    tokens.marks_generation = true;
    Generation generation;
    WEFT_ASSIGN_OR_RETURN(generation.body, ParseBody(tokens, "endgeneration"));
    return Statement{std::move(generation), line};
  }
  if (name == "break" || name == "continue") {
    WEFT_RETURN_IF_ERROR(TakeEnd(tokens));
    if (name == "break") return Statement{Break{}, line};
    return Statement{Continue{}, line};
  }
  if (name.starts_with("end") || name == "else" || name == "elif") return tokens.Error("'", name, "' closes nothing here");
  return tokens.Error("the statement '", name, "' is not supported in chat templates");
}

StatusOr<Block> ParseBlock(TokenStream& tokens, const Ends& ends) {
  const Nested nested(tokens);
  WEFT_RETURN_IF_ERROR(nested.Check());
  const int opening_line = tokens.Now().line;
  Block block;
  while (tokens.Now().kind != Token::Kind::kEnd) {
    const Token token = tokens.Take();
    if (token.kind == Token::Kind::kText) {
      block.push_back({Output{Text(token.text)}, token.line});
    } else if (token.kind == Token::Kind::kPrintBegin) {
      Print print;
      WEFT_ASSIGN_OR_RETURN(print.value, ParseTuple(tokens, /*with_conditional=*/true));
      if (tokens.Now().kind != Token::Kind::kPrintEnd) return tokens.Expected("'}}'");
      tokens.Take();
      block.push_back({std::move(print), token.line});
    } else {
      const bool ends_here = std::any_of(ends.begin(), ends.end(), [&](auto end) { return tokens.Now().IsName(end); });
      if (ends_here) return block;
      WEFT_ASSIGN_OR_RETURN(Statement statement, ParseStatement(tokens));
      block.push_back(std::move(statement));
    }
  }
  if (ends.empty()) return block;
  return tokens.Error("the block that begins in line ", opening_line, " is not closed by {% ", ends.back(), " %}");
}

}  // namespace

StatusOr<Template> ParseTemplate(std::string_view source, std::string_view name) {
  if (source.size() > kMaxTemplateBytes) {
    return UserError(name, ": a template of ", source.size(), " bytes; at most ", kMaxTemplateBytes, " are read");
  }
  WEFT_ASSIGN_OR_RETURN(std::vector<Token> lexed, Tokenize(source, name));
  TokenStream tokens(std::move(lexed), name);
  Template parsed;
  WEFT_ASSIGN_OR_RETURN(parsed.block, ParseBlock(tokens, {}));
  parsed.marks_generation = tokens.marks_generation;
  return parsed;
}

}  // namespace weft::jinja
