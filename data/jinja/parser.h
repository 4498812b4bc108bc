// From tokens to the syntax tree: Jinja's grammar, as far as chat templates use it.
//
// Refused by name: include, import, extends, block, do, trans, autoescape, recursive loops, and unpacking of arguments.
#pragma once

#include <string_view>

#include "data/jinja/syntax_tree.h"
#include "data/jinja/token_stream.h"

namespace weft::jinja {

struct Template {
  Block block;
  bool marks_generation = false;  // it has {% generation %}
};

// `name` stands in messages: "name:line: ...".
StatusOr<Template> ParseTemplate(std::string_view source, std::string_view name);

// Expressions, from the loosest binding to the tightest; for the parser of statements.
StatusOr<ExpressionPtr> ParseExpression(TokenStream& tokens);
// Without a conditional at its top: the iterable of a loop, whose `if` is the loop's.
StatusOr<ExpressionPtr> ParseWithoutConditional(TokenStream& tokens);
// One expression, or several with commas, which are a tuple.
StatusOr<ExpressionPtr> ParseTuple(TokenStream& tokens, bool with_conditional);
StatusOr<ArgumentList> ParseArguments(TokenStream& tokens);  // from "(" on
// name(arguments) | name(arguments)...; the first name is next.
StatusOr<std::vector<FilterCall>> ParseFilterNames(TokenStream& tokens);

}  // namespace weft::jinja
