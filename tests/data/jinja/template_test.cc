// The interpreter of chat templates: its grammar, Python's rules for values, white space, limits, and errors by line.
// What is expected was printed by jinja2 3.1 with Hugging Face's environment.
#include <ctime>

#include "data/jinja/interpreter.h"
#include "data/jinja/json_value.h"
#include "data/jinja/parser.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::jinja {
namespace {

using testing::HasSubstr;

StatusOr<Text> Render(std::string_view source, std::string_view variables_json = "{}") {
  WEFT_ASSIGN_OR_RETURN(const Template parsed, ParseTemplate(source, "t"));
  WEFT_ASSIGN_OR_RETURN(const Value variables, ParseJsonValue(variables_json, "variables"));
  Scope scope(nullptr);
  for (const Dict::Entry& entry : variables.AsDict()->entries) scope.Set(entry.key.bytes(), entry.value);
  Budget budget(0);
  return Interpreter("t", budget, /*now=*/0).Run(parsed.block, scope);
}

struct Case {
  std::string source, variables, expected;
};

class RenderTest : public testing::TestWithParam<Case> {};

TEST_P(RenderTest, RendersAsJinja) {
  const StatusOr<Text> text = Render(GetParam().source, GetParam().variables);
  ASSERT_TRUE(text.ok()) << GetParam().source << "\n" << text.status();
  EXPECT_EQ(text->bytes(), GetParam().expected) << GetParam().source;
}

INSTANTIATE_TEST_SUITE_P(WhiteSpace, RenderTest, testing::Values(
    Case{"a\n{% if true %}\nb\n{% endif %}\nc\n", "{}", "a\nb\nc"},
    Case{"a\n  {% if true %}  \n  b\n  {% endif %}\n", "{}", "a\n  \n  b\n"},
    Case{"a  {%- if true -%}  b  {%- endif -%}  c", "{}", "abc"},
    Case{"a\n  {%+ if true %}b{% endif +%}\nc", "{}", "a\n  b\nc"},
    Case{"a\n  {{ 1 }}\n  {{- 2 -}}  \n3", "{}", "a\n  123"},
    Case{"a {# b #}\nc{#- d -#}  e", "{}", "a ce"},
    Case{"  {# b #}\nc", "{}", "c"},
    Case{"{% raw %}{{ x }}{% y %}{% endraw %}\nz", "{}", "{{ x }}{% y %}z"},
    Case{"a {%- raw -%}  {{ x }}  {%- endraw -%}  z", "{}", "a{{ x }}z"},
    Case{"a\r\nb\rc\n", "{}", "a\nb\nc"},
    Case{"{{ {'a': {'b': 1}}['a']['b'] }}", "{}", "1"}));

INSTANTIATE_TEST_SUITE_P(Values, RenderTest, testing::Values(
    Case{"{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 0.00001 }} {{ [1, 'a', (2,), {'k': none}] }}", "{}",
         "True None 1.0 1e+16 1e-05 [1, 'a', (2,), {'k': None}]"},
    Case{"{{ \"it's\" ~ 1 }} {{ [\"it's\", 'a\"b', 'é\\n\\x00'] }}", "{}", "it's1 [\"it's\", 'a\"b', 'é\\n\\x00']"},
    Case{"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 'ab' * 2 }} {{ 1 + 2 * 3 }}", "{}",
         "3 -4 2 3.5 1024 abab 7"},
    Case{"{{ 'a' < 'b' }} {{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'x' in 'xyz' }} {{ 'q' not in ['a'] }} {{ not 0 }}", "{}",
         "True True True True True True"},
    Case{"{{ 'a' if x else 'b' }}{{ 'a' if x }}|{{ x or 'c' }} {{ 1 and 2 }}", "{}", "b|c 2"},
    Case{"{{ 'héllo'[1] }}{{ 'héllo'[-1] }}{{ 'héllo'[::-1] }}{{ 'héllo'[1:3] }}{{ [1,2,3][1:] }}{{ [1,2][-1] }}", "{}",
         "éoolléhél[2, 3]2"},
    Case{"{{ x }}{{ x is defined }}{{ d.a is defined }}{{ d['k'] }}{{ d.k }}{{ d.items() | list }}", R"({"d": {"k": 5}})",
         "FalseFalse55[('k', 5)]"},
    Case{"{{ '\\u00e9\\x41\\n\\q' }}{{ 'a' 'b' }}", "{}", "éA\n\\qab"},
    Case{"{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a-b-c'.split('-', 1) }}{{ 'a-b-c'.rsplit('-', 1) }}", "{}",
         "['a', 'b', '', 'c']['a', 'b']['a', 'b-c']['a-b', 'c']"},
    Case{"{{ '  x '.strip() }}|{{ 'xxay'.lstrip('x') }}|{{ 'a\\n\\n'.rstrip('\\n') }}|{{ 'abab'.replace('a', 'c', 1) }}",
         "{}", "x|ay|a|cbab"},
    Case{"{{ 'ab'.startswith(('x', 'a')) }}{{ 'ab'.endswith('b') }}{{ 'aXb'.upper() }}{{ 'hello world'.title() }}", "{}",
         "TrueTrueAXBHello World"}));

INSTANTIATE_TEST_SUITE_P(Filters, RenderTest, testing::Values(
    Case{"{{ d | tojson }}|{{ d | tojson(indent=2) }}", R"({"d": {"b": [1, 2.0, "é\"<"], "a": {}, "n": null}})",
         "{\"b\": [1, 2.0, \"é\\\"<\"], \"a\": {}, \"n\": null}|{\n  \"b\": [\n    1,\n    2.0,\n    \"é\\\"<\"\n  ],\n"
         "  \"a\": {},\n  \"n\": null\n}"},
    Case{"{{ 'é😀' | tojson(ensure_ascii=true) }}{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}", "{}",
         "\"\\u00e9\\ud83d\\ude00\"{\"a\":2,\"b\":1}"},
    Case{"{{ m | selectattr('r', 'equalto', 'u') | map(attribute='c') | join('+') }}{{ m | rejectattr('r', 'eq', 'u') | list | length }}",
         R"({"m": [{"r": "u", "c": 1}, {"r": "a", "c": 2}, {"r": "u", "c": 3}]})", "1+31"},
    Case{"{{ x | default('d') }}{{ '' | default('e', true) }}{{ ' a ' | trim }}{{ 'abc' | length }}{{ x | length }}", "{}", "dea30"},
    Case{"{{ [3, 1, 2] | sort | join(',') }}{{ ['b', 'A'] | sort(reverse=true) | first }}{{ [1, 1, 2] | unique | list }}", "{}",
         "1,2,3b[1, 2]"},
    Case{"{{ 'a\\n\\nb' | indent(2) }}|{{ 'foo bar' | capitalize }}|{{ 'foo-bar' | title }}|{{ '12' | int + 1 }}", "{}",
         "a\n\n  b|Foo bar|Foo-Bar|13"},
    Case{"{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}{{ [1, 2] | sum }}{{ [1, 2] | max }}", "{}", "a2b132"},
    Case{"{{ 3 is odd }}{{ none is none }}{{ 'a' is string }}{{ {} is mapping }}{{ 1 is number }}{{ x is not defined }}{{ [] is iterable }}",
         "{}", "TrueTrueTrueTrueTrueTrueTrue"}));

INSTANTIATE_TEST_SUITE_P(Statements, RenderTest, testing::Values(
    Case{"{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.last }}{{ loop.previtem }}{{ ',' if not loop.last }}{% endfor %}", "{}",
         "1False,2False1,3True2"},
    Case{"{% for x in [1, 2, 3, 4] if x is even %}{{ loop.length }}{{ x }}{% else %}none{% endfor %}{% for x in [] %}{% else %}e{% endfor %}",
         "{}", "2224e"},
    Case{"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{}",
         "023"},
    Case{"{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}", "{}", "15151"},
    Case{"{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "{}", "3"},
    Case{"{% if false %}{% set y = 1 %}{% else %}{% set y = 2 %}{% endif %}{{ y }}", "{}", "2"},
    Case{"{% macro f(a, b='x') %}[{{ a }}{{ b }}{{ g }}]{% endmacro %}{% set g = 9 %}{{ f(1) }}{{ f(1, b=2) }}{{ f() }}", "{}",
         "[1x9][129][x9]"},
    Case{"{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{}", "3210"},
    Case{"{% macro f() %}<{{ caller('z') }}>{% endmacro %}{% call(x) f() %}in{{ x }}{% endcall %}", "{}", "<inz>"},
    Case{"{% set a %}b{{ 1 }}{% endset %}{{ a }}{% filter upper %}x{% endfilter %}{% with q = 2 %}{{ q }}{% endwith %}", "{}", "b1X2"},
    Case{"{% set a, b = 1, 2 %}{{ b }}{{ a }}{% for a, b in [[1, 2]] %}{{ b }}{% endfor %}", "{}", "212"},
    Case{"{% generation %}a{% set x = 1 %}{% endgeneration %}{{ x }}b", "{}", "ab"},
    Case{"{{ strftime_now('%Y') }}", "{}", "1970"}));

TEST(TemplateTest, CarriesOriginsThroughOperations) {
  const auto source = "{{ 'u:' ~ m.strip() }}|{{ m[2:4] }}|{{ m.split('b')[1] | upper }}|{{ [m] | tojson }}";
  StatusOr<Template> parsed = ParseTemplate(source, "t");
  ASSERT_TRUE(parsed.ok());
  Scope scope(nullptr);
  scope.Set("m", Value(Text(" \"abc ", {.source = 7})));
  Budget budget(0);
  const StatusOr<Text> text = Interpreter("t", budget, 0).Run(parsed->block, scope);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->bytes(), "u:\"abc|ab|C |[\" \\\"abc \"]");
  std::string sources;
  for (size_t i = 0; i < text->size(); ++i) sources += static_cast<char>('0' + text->OriginAt(i).source);
  EXPECT_EQ(sources, "0077770770770" "00" "7777777" "00");
}

TEST(TemplateTest, ErrorsNameTheLine) {
  struct Wrong {
    std::string source, message;
  };
  const Wrong cases[] = {
      {"\n{{ x.y }}", "t:2: 'x' is undefined"},
      {"\n\n{% if x %}", "t:3: the block that begins"},
      {"{{ 'abc }}", "t:1: this string is not closed"},
      {"a\n{# b", "t:2: the comment"},
      {"{{ 1 + }}", "t:1: expected a value, found '}}'"},
      {"{{ (1] }}", "unexpected ']', expected ')'"},
      {"{% include 'x' %}", "'include' is not supported"},
      {"{% endif %}", "'endif' closes nothing"},
      {"{{ x | nosuch }}", "there is no filter 'nosuch'"},
      {"{{ 1 is nosuch }}", "there is no test 'nosuch'"},
      {"{{ 'a' + 1 }}", "'+' does not work on str and int"},
      {"\n{{ raise_exception('roles must alternate') }}", "t:2: raise_exception: roles must alternate"},
      {"{% macro f(a) %}\n{{ a.b.c }}{% endmacro %}{{ f({}) }}", "t:2: a dict has no 'b'"},
      {"{{ messages.append(1) }}", "append: templates may not change"},
      {"{{ 9223372036854775807 + 1 }}", "is no integer of 64 bits"},
      {"{{ 1 // 0 }}", "division by zero"},
      {"{{ f(*a) }}", "unpacking arguments with * is not supported"},
      {"{% break %}", "outside a loop"},
      {"{{ 'x'.split('') }}", "the separator is empty"},
      {"{{ namespace }}", "cannot be written"},
      {"{{ '\\ud800' }}", "names no character"},
      {"{{ x", "this {{ is not closed"},
  };
  for (const Wrong& wrong : cases) {
    const StatusOr<Text> text = Render(wrong.source, R"({"messages": []})");
    ASSERT_FALSE(text.ok()) << wrong.source;
    EXPECT_THAT(std::string(text.status().message()), HasSubstr(wrong.message)) << wrong.source;
    EXPECT_EQ(ExitCode(text.status()), 2);
  }
}

std::string Repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(TemplateTest, LimitsTimeMemoryAndDepth) {
  const std::string sources[] = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(150) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(150) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}",
      "{% set ns = namespace() %}{% set ns.x = [ns] %}",
      "{% set ns = namespace() %}{% set ns.x = ns %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{{ range(100001) }}",
      "{{ 'x' * 9223372036854775807 }}",
      "{{ [1] * 1000000000 }}",
      "{{ ('x' * 100000).replace('', 'y' * 100000) }}",
      "{{ " + Repeated("(", 100000) + Repeated(")", 100000) + " }}",
      "{{ " + Repeated("[", 1000) + Repeated("]", 1000) + " }}",
      "{{ " + Repeated("-", 3000) + "1 }}",
      "{{ " + Repeated("not ", 3000) + "1 }}",
      "{{ 1" + Repeated(" + 1", 1900) + " }}",
      "{{ x" + Repeated(".a", 1900) + " }}",
      Repeated("{% if true %}", 100000),
      Repeated("{% for i in [1] %}", 1000) + Repeated("{% endfor %}", 1000),
      "{{ " + Repeated("1,", 10000) + " }}",
      std::string(size_t{2} << 20, 'x'),
  };
  for (const std::string& source : sources) {
    const std::clock_t start = std::clock();
    const StatusOr<Text> text = Render(source);
    EXPECT_FALSE(text.ok()) << source.substr(0, 100);
    EXPECT_EQ(ExitCode(text.status()), 2);
    EXPECT_LT(std::clock() - start, 60 * CLOCKS_PER_SEC) << source.substr(0, 100);
  }
}

TEST(TemplateTest, DeepButAllowedTemplatesRun) {
  const StatusOr<Text> text = Render("{% macro f(n) %}{% if n %}{% for i in [n] %}{{ f(i - 1) }}{% endfor %}{% endif %}.{% endmacro %}{{ f(30) }}");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->size(), 31u);
  EXPECT_TRUE(Render("{{ 1" + Repeated(" + 1", 150) + " }}").ok());
}

}  // namespace
}  // namespace weft::jinja
