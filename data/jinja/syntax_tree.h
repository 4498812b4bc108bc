// The syntax tree of a template: expressions and statements as the parser makes them and the interpreter walks them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data/jinja/value.h"

namespace weft::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct ArgumentList {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

struct Constant {
  Value value;
};
struct Name {
  std::string name;
};
struct ListLiteral {
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
};
struct DictLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Attribute {  // object.name
  ExpressionPtr object;
  std::string name;
};
struct Item {  // object[key]
  ExpressionPtr object, key;
};
struct Slice {  // object[start:stop:step]; null where left out
  ExpressionPtr object, start, stop, step;
};
struct Call {
  ExpressionPtr callee;
  ArgumentList arguments;
};
struct FilterCall {  // input | name(arguments); no input in {% filter %} and {% set | %}
  ExpressionPtr input;
  std::string name;
  ArgumentList arguments;
};
struct TestCall {  // input is name(arguments)
  ExpressionPtr input;
  std::string name;
  ArgumentList arguments;
};
enum class UnaryOperator { kNot, kNegative, kPositive };
struct Unary {
  UnaryOperator op;
  ExpressionPtr operand;
};
enum class BinaryOperator {
  kAnd, kOr, kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower, kConcatenate
};
struct Binary {
  BinaryOperator op;
  ExpressionPtr left, right;
};
enum class CompareOperator { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
struct Comparison {  // a < b <= c
  ExpressionPtr first;
  std::vector<std::pair<CompareOperator, ExpressionPtr>> rest;
};
struct Conditional {  // then if condition else otherwise; otherwise may be null
  ExpressionPtr condition, then, otherwise;
};

struct Expression {
  std::variant<Constant, Name, ListLiteral, DictLiteral, Attribute, Item, Slice, Call, FilterCall, TestCall, Unary, Binary,
               Comparison, Conditional>
      node;
  int line = 0;
};

struct Statement;
using Block = std::vector<Statement>;

struct Output {  // text between tags
  Text text;
};
struct Print {  // {{ value }}
  ExpressionPtr value;
};
struct If {
  struct Branch {
    ExpressionPtr condition;  // null: else
    Block body;
  };
  std::vector<Branch> branches;
};
// What an assignment or a loop binds: x, (x, y), or ns.x.
struct Target {
  std::vector<std::string> names;  // of one variable, or of several
  bool is_tuple = false;
  std::string attribute;  // of the namespace names[0], where not empty
};
struct For {
  Target target;
  ExpressionPtr iterable, condition;  // condition may be null
  Block body, otherwise;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {  // {% set x | filter %}...{% endset %}
  Target target;
  std::vector<FilterCall> filters;
  Block body;
};
struct Parameter {
  std::string name;
  ExpressionPtr absent;  // its default; may be null
};
struct MacroDefinition {
  std::string name;
  std::vector<Parameter> parameters;
  Block body;
};
struct CallBlock {  // {% call(parameters) macro() %}...{% endcall %}
  MacroDefinition caller;
  ExpressionPtr call;
};
struct FilterBlock {
  std::vector<FilterCall> filters;
  Block body;
};
struct With {
  std::vector<std::pair<std::string, ExpressionPtr>> variables;
  Block body;
};
struct Generation {  // {% generation %}: what the assistant wrote
  Block body;
};
struct Break {};
struct Continue {};

struct Statement {
  std::variant<Output, Print, If, For, Set, SetBlock, MacroDefinition, CallBlock, FilterBlock, With, Generation, Break,
               Continue>
      node;
  int line = 0;
};

}  // namespace weft::jinja
