// Recursive descent over Jinja's levels of binding. A chain of operators of one level is a tree as deep as the chain is
// long, so chains count as nesting too.
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include "data/jinja/parser.h"

namespace weft::jinja {
namespace {

using Nested = TokenStream::Nested;

template <typename Node>
ExpressionPtr Make(Node node, int line) {
  auto expression = std::make_unique<Expression>();
  expression->node = std::move(node);
  expression->line = line;
  return expression;
}

struct OperatorName {
  std::string_view text;
  BinaryOperator op;
};

using ParseOperand = StatusOr<ExpressionPtr> (*)(TokenStream&);

// Left to right: operand, then (operator, operand) as often as one of `operators` follows.
StatusOr<ExpressionPtr> ParseChain(TokenStream& tokens, std::initializer_list<OperatorName> operators,
                                   ParseOperand parse_operand) {
  WEFT_ASSIGN_OR_RETURN(ExpressionPtr left, parse_operand(tokens));
  for (int length = 1;; ++length) {
    const OperatorName* found = nullptr;
    for (const OperatorName& candidate : operators) {
      const bool is_word = candidate.text == "and" || candidate.text == "or";
      if (is_word ? tokens.Now().IsName(candidate.text) : tokens.Now().Is(candidate.text)) found = &candidate;
    }
    if (found == nullptr) return left;
    if (length > kMaxNesting) return tokens.Error("a chain of more than ", kMaxNesting, " operators");
    const int line = tokens.Take().line;
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr right, parse_operand(tokens));
    left = Make(Binary{found->op, std::move(left), std::move(right)}, line);
  }
}

StatusOr<ExpressionPtr> ParseNumber(TokenStream& tokens) {
  const Token token = tokens.Now();
  if (token.kind == Token::Kind::kFloat) {
    tokens.Take();
    return Make(Constant{Value(std::strtod(token.text.c_str(), nullptr))}, token.line);
  }
  std::string_view digits = token.text;
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0' && digits[1] >= 'A') {
    base = digits[1] == 'x' || digits[1] == 'X' ? 16 : digits[1] == 'o' || digits[1] == 'O' ? 8 : 2;
    digits.remove_prefix(2);
  }
  int64_t value = 0;
  const std::from_chars_result end = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (end.ec != std::errc() || end.ptr != digits.data() + digits.size()) {
    return tokens.Error("'", token.text, "' is no integer of 64 bits");
  }
  tokens.Take();
  return Make(Constant{Value(value)}, token.line);
}

// "a" "b" is "ab".
ExpressionPtr ParseStrings(TokenStream& tokens) {
  const int line = tokens.Now().line;
  std::string text;
  while (tokens.Now().kind == Token::Kind::kString) text += tokens.Take().text;
  return Make(Constant{Value(Text(std::move(text)))}, line);
}

StatusOr<ExpressionPtr> ParseList(TokenStream& tokens) {
  const int line = tokens.Take().line;
  ListLiteral list;
  while (!tokens.TakeIf("]")) {
    if (!list.items.empty()) WEFT_RETURN_IF_ERROR(tokens.Expect(","));
    if (tokens.TakeIf("]")) break;
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr item, ParseExpression(tokens));
    list.items.push_back(std::move(item));
  }
  return Make(std::move(list), line);
}

StatusOr<ExpressionPtr> ParseDict(TokenStream& tokens) {
  const int line = tokens.Take().line;
  DictLiteral dict;
  while (!tokens.TakeIf("}")) {
    if (!dict.entries.empty()) WEFT_RETURN_IF_ERROR(tokens.Expect(","));
    if (tokens.TakeIf("}")) break;
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr key, ParseExpression(tokens));
    WEFT_RETURN_IF_ERROR(tokens.Expect(":"));
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression(tokens));
    dict.entries.emplace_back(std::move(key), std::move(value));
  }
  return Make(std::move(dict), line);
}

// (x) is x; (x,) and () are tuples.
StatusOr<ExpressionPtr> ParseParenthesized(TokenStream& tokens) {
  const int line = tokens.Take().line;
  if (tokens.TakeIf(")")) return Make(ListLiteral{{}, true}, line);
  WEFT_ASSIGN_OR_RETURN(ExpressionPtr inside, ParseTuple(tokens, /*with_conditional=*/true));
  WEFT_RETURN_IF_ERROR(tokens.Expect(")"));
  return inside;
}

StatusOr<ExpressionPtr> ParseNameOrConstant(TokenStream& tokens) {
  const Token token = tokens.Take();
  if (token.text == "true" || token.text == "True") return Make(Constant{Value(true)}, token.line);
  if (token.text == "false" || token.text == "False") return Make(Constant{Value(false)}, token.line);
  if (token.text == "none" || token.text == "None") return Make(Constant{Value()}, token.line);
  return Make(Name{token.text}, token.line);
}

StatusOr<ExpressionPtr> ParsePrimary(TokenStream& tokens) {
  switch (tokens.Now().kind) {
    case Token::Kind::kName: return ParseNameOrConstant(tokens);
    case Token::Kind::kString: return ParseStrings(tokens);
    case Token::Kind::kInteger:
    case Token::Kind::kFloat: return ParseNumber(tokens);
    default: break;
  }
  if (tokens.Now().Is("(")) return ParseParenthesized(tokens);
  if (tokens.Now().Is("[")) return ParseList(tokens);
  if (tokens.Now().Is("{")) return ParseDict(tokens);
  return tokens.Expected("a value");
}

// object[key] and object[start:stop:step], from "[" on.
StatusOr<ExpressionPtr> ParseSubscript(TokenStream& tokens, ExpressionPtr object) {
  const int line = tokens.Take().line;
  ExpressionPtr bounds[3];
  int num_colons = 0;
  while (!tokens.Now().Is("]")) {
    if (tokens.TakeIf(":")) {
      if (++num_colons > 2) return tokens.Error("a slice has at most two ':'");
      continue;
    }
    if (bounds[num_colons] != nullptr) return tokens.Expected("']'");
    WEFT_ASSIGN_OR_RETURN(bounds[num_colons], ParseExpression(tokens));
  }
  tokens.Take();
  if (num_colons > 0) {
    return Make(Slice{std::move(object), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2])}, line);
  }
  if (bounds[0] == nullptr) return tokens.Error("expected a key between '[' and ']'");
  return Make(Item{std::move(object), std::move(bounds[0])}, line);
}

StatusOr<ExpressionPtr> ParseDot(TokenStream& tokens, ExpressionPtr object) {
  const int line = tokens.Take().line;
  if (tokens.Now().kind == Token::Kind::kInteger) {
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr index, ParseNumber(tokens));
    return Make(Item{std::move(object), std::move(index)}, line);
  }
  WEFT_ASSIGN_OR_RETURN(std::string name, tokens.TakeName());
  return Make(Attribute{std::move(object), std::move(name)}, line);
}

StatusOr<ExpressionPtr> ParsePostfix(TokenStream& tokens, ExpressionPtr value, bool with_filters);

// x is name, x is not name, x is name argument, x is name(arguments); from "is" on.
StatusOr<ExpressionPtr> ParseTest(TokenStream& tokens, ExpressionPtr input) {
  const int line = tokens.Take().line;
  const bool negated = tokens.TakeIfName("not");
  TestCall test{std::move(input), "", {}};
  WEFT_ASSIGN_OR_RETURN(test.name, tokens.TakeName());
  const Token& now = tokens.Now();
  const bool is_value = now.kind == Token::Kind::kString || now.kind == Token::Kind::kInteger ||
                        now.kind == Token::Kind::kFloat || now.Is("[") || now.Is("{") ||
                        (now.kind == Token::Kind::kName && now.text != "else" && now.text != "or" && now.text != "and" &&
                         now.text != "if" && now.text != "is" && now.text != "in" && now.text != "not");
  if (now.Is("(")) {
    WEFT_ASSIGN_OR_RETURN(test.arguments, ParseArguments(tokens));
  } else if (now.IsName("is")) {
    return tokens.Error("tests cannot be chained with 'is'");
  } else if (is_value) {
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePrimary(tokens));
    WEFT_ASSIGN_OR_RETURN(argument, ParsePostfix(tokens, std::move(argument), /*with_filters=*/false));
    test.arguments.positional.push_back(std::move(argument));
  }
  ExpressionPtr expression = Make(std::move(test), line);
  return negated ? Make(Unary{UnaryOperator::kNot, std::move(expression)}, line) : std::move(expression);
}

StatusOr<FilterCall> ParseFilterName(TokenStream& tokens) {
  FilterCall filter;
  WEFT_ASSIGN_OR_RETURN(filter.name, tokens.TakeName());
  if (tokens.Now().Is("(")) {
    WEFT_ASSIGN_OR_RETURN(filter.arguments, ParseArguments(tokens));
  }
  return filter;
}

// What may follow a value: .name, [key], (arguments), and where `with_filters`, | filter and is test.
StatusOr<ExpressionPtr> ParsePostfix(TokenStream& tokens, ExpressionPtr value, bool with_filters) {
  for (int length = 1;; ++length) {
    if (length > kMaxNesting) return tokens.Error("a chain of more than ", kMaxNesting, " attributes, calls and filters");
    const int line = tokens.Now().line;
    if (tokens.Now().Is(".")) {
      WEFT_ASSIGN_OR_RETURN(value, ParseDot(tokens, std::move(value)));
    } else if (tokens.Now().Is("[")) {
      WEFT_ASSIGN_OR_RETURN(value, ParseSubscript(tokens, std::move(value)));
    } else if (tokens.Now().Is("(")) {
      WEFT_ASSIGN_OR_RETURN(ArgumentList arguments, ParseArguments(tokens));
      value = Make(Call{std::move(value), std::move(arguments)}, line);
    } else if (with_filters && tokens.TakeIf("|")) {
      WEFT_ASSIGN_OR_RETURN(FilterCall filter, ParseFilterName(tokens));
      filter.input = std::move(value);
      value = Make(std::move(filter), line);
    } else if (with_filters && tokens.Now().IsName("is")) {
      WEFT_ASSIGN_OR_RETURN(value, ParseTest(tokens, std::move(value)));
    } else {
      return value;
    }
  }
}

StatusOr<ExpressionPtr> ParseUnary(TokenStream& tokens, bool with_filters) {
  const Nested nested(tokens);
  WEFT_RETURN_IF_ERROR(nested.Check());
  const int line = tokens.Now().line;
  ExpressionPtr value;
  if (tokens.Now().Is("-") || tokens.Now().Is("+")) {
    const UnaryOperator op = tokens.Take().text == "-" ? UnaryOperator::kNegative : UnaryOperator::kPositive;
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseUnary(tokens, /*with_filters=*/false));
    value = Make(Unary{op, std::move(operand)}, line);
  } else {
    WEFT_ASSIGN_OR_RETURN(value, ParsePrimary(tokens));
  }
  return ParsePostfix(tokens, std::move(value), with_filters);
}

StatusOr<ExpressionPtr> ParsePower(TokenStream& tokens) {
  return ParseChain(tokens, {{"**", BinaryOperator::kPower}},
                    [](TokenStream& t) { return ParseUnary(t, /*with_filters=*/true); });
}

StatusOr<ExpressionPtr> ParseProduct(TokenStream& tokens) {
  return ParseChain(tokens,
                    {{"*", BinaryOperator::kMultiply},
                     {"/", BinaryOperator::kDivide},
                     {"//", BinaryOperator::kFloorDivide},
                     {"%", BinaryOperator::kModulo}},
                    ParsePower);
}

StatusOr<ExpressionPtr> ParseConcatenation(TokenStream& tokens) {
  return ParseChain(tokens, {{"~", BinaryOperator::kConcatenate}}, ParseProduct);
}

StatusOr<ExpressionPtr> ParseSum(TokenStream& tokens) {
  return ParseChain(tokens, {{"+", BinaryOperator::kAdd}, {"-", BinaryOperator::kSubtract}}, ParseConcatenation);
}

// Takes a comparison operator where one is next.
std::optional<CompareOperator> TakeCompareOperator(TokenStream& tokens) {
  static constexpr std::pair<std::string_view, CompareOperator> kOperators[] = {
      {"==", CompareOperator::kEqual},      {"!=", CompareOperator::kNotEqual}, {"<", CompareOperator::kLess},
      {"<=", CompareOperator::kLessEqual}, {">", CompareOperator::kGreater},   {">=", CompareOperator::kGreaterEqual}};
  for (const auto& [text, op] : kOperators) {
    if (tokens.TakeIf(text)) return op;
  }
  if (tokens.TakeIfName("in")) return CompareOperator::kIn;
  if (tokens.Now().IsName("not") && tokens.After().IsName("in")) {
    tokens.Take();
    tokens.Take();
    return CompareOperator::kNotIn;
  }
  return std::nullopt;
}

StatusOr<ExpressionPtr> ParseComparison(TokenStream& tokens) {
  WEFT_ASSIGN_OR_RETURN(ExpressionPtr first, ParseSum(tokens));
  Comparison comparison;
  const int line = tokens.Now().line;
  while (const std::optional<CompareOperator> op = TakeCompareOperator(tokens)) {
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseSum(tokens));
    comparison.rest.emplace_back(*op, std::move(operand));
  }
  if (comparison.rest.empty()) return first;
  comparison.first = std::move(first);
  return Make(std::move(comparison), line);
}

StatusOr<ExpressionPtr> ParseNot(TokenStream& tokens) {
  if (!tokens.Now().IsName("not")) return ParseComparison(tokens);
  const Nested nested(tokens);
  WEFT_RETURN_IF_ERROR(nested.Check());
  const int line = tokens.Take().line;
  WEFT_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseNot(tokens));
  return Make(Unary{UnaryOperator::kNot, std::move(operand)}, line);
}

StatusOr<ExpressionPtr> ParseAnd(TokenStream& tokens) {
  return ParseChain(tokens, {{"and", BinaryOperator::kAnd}}, ParseNot);
}

}  // namespace

StatusOr<ExpressionPtr> ParseWithoutConditional(TokenStream& tokens) {
  return ParseChain(tokens, {{"or", BinaryOperator::kOr}}, ParseAnd);
}

StatusOr<ExpressionPtr> ParseExpression(TokenStream& tokens) {
  const Nested nested(tokens);
  WEFT_RETURN_IF_ERROR(nested.Check());
  WEFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseWithoutConditional(tokens));
  for (int length = 1; tokens.Now().IsName("if"); ++length) {
    if (length > kMaxNesting) return tokens.Error("a chain of more than ", kMaxNesting, " conditions");
    Conditional conditional;
    const int line = tokens.Take().line;
    conditional.then = std::move(value);
    WEFT_ASSIGN_OR_RETURN(conditional.condition, ParseWithoutConditional(tokens));
    if (tokens.TakeIfName("else")) {
      WEFT_ASSIGN_OR_RETURN(conditional.otherwise, ParseExpression(tokens));
    }
    value = Make(std::move(conditional), line);
  }
  return value;
}

StatusOr<ExpressionPtr> ParseTuple(TokenStream& tokens, bool with_conditional) {
  const ParseOperand parse = with_conditional ? ParseExpression : ParseWithoutConditional;
  const int line = tokens.Now().line;
  WEFT_ASSIGN_OR_RETURN(ExpressionPtr first, parse(tokens));
  if (!tokens.Now().Is(",")) return first;
  ListLiteral tuple{{}, true};
  tuple.items.push_back(std::move(first));
  while (tokens.TakeIf(",")) {
    const Token& now = tokens.Now();
    const bool ended = now.kind == Token::Kind::kPrintEnd || now.kind == Token::Kind::kBlockEnd || now.Is(")");
    if (ended) break;
    WEFT_ASSIGN_OR_RETURN(ExpressionPtr item, parse(tokens));
    tuple.items.push_back(std::move(item));
  }
  return Make(std::move(tuple), line);
}

StatusOr<ArgumentList> ParseArguments(TokenStream& tokens) {
  ArgumentList arguments;
  WEFT_RETURN_IF_ERROR(tokens.Expect("("));
  bool first = true;
  while (!tokens.TakeIf(")")) {
    if (!std::exchange(first, false)) WEFT_RETURN_IF_ERROR(tokens.Expect(","));
    if (tokens.TakeIf(")")) break;
    if (tokens.Now().Is("*") || tokens.Now().Is("**")) return tokens.Error("unpacking arguments with * is not supported");
    if (tokens.Now().kind == Token::Kind::kName && tokens.After().Is("=")) {
      std::string name = tokens.Take().text;
      tokens.Take();
      WEFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression(tokens));
      arguments.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!arguments.named.empty()) return tokens.Error("an argument without a name after one with a name");
      WEFT_ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression(tokens));
      arguments.positional.push_back(std::move(value));
    }
  }
  return arguments;
}

StatusOr<std::vector<FilterCall>> ParseFilterNames(TokenStream& tokens) {
  std::vector<FilterCall> filters;
  do {
    WEFT_ASSIGN_OR_RETURN(FilterCall filter, ParseFilterName(tokens));
    filters.push_back(std::move(filter));
  } while (tokens.TakeIf("|"));
  return filters;
}

}  // namespace weft::jinja
