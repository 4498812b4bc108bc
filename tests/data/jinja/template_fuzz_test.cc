// Random templates and conversations: whatever comes, the end is a text or an error. Two seconds by default;
// WEFT_FUZZ_SECONDS=600 on a build with sanitizers is the long run. A failure prints the seed of the last template.
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "data/chat_template.h"
#include "data/conversation.h"
#include "data/jinja/json_value.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

const std::vector<std::string>& Fragments() {
  static const std::vector<std::string> kFragments = {
      "{{ ", " }}", "{{- ", " -}}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "if ", "elif ", "else", "endif", "for m in ", "endfor",
      "set ", "endset", "macro f(a, b='x')", "endmacro", "call f()", "endcall", "filter upper", "endfilter", "raw", "endraw",
      "generation", "endgeneration", "with x = 1", "endwith", "break", "continue", "messages", "m.role", "m['content']", "m", "loop.index",
      "loop.last", "loop.cycle(1, 2)", "ns", "namespace(x=1)", "ns.x = ", "ns.x", "x", " = ", " + ", " ~ ", " * ", " ** ", " // ", " % ", " - ",
      " == ", " in ", " not in ", " not ", " and ", " or ", " < ", " is ", "defined", "none", "string", "mapping", "divisibleby 0", " | ",
      "tojson", "tojson(indent=4)", "trim", "join(', ')", "length", "list", "sort", "unique", "dictsort", "map('upper')", "first", "int",
      "selectattr('role', 'equalto', 'user')", "replace('a', 'bb')", "default('d', true)", "indent(3, true)", "reverse", "[", "]", "(", ")",
      "{", "}", ":", ",", ".", "[::-1]", "[1:]", "[-1]", "[::9223372036854775807]", "'text'", "\"\\u00e9\\n\"", "'", "1", "0",
      "9223372036854775807", "1e308", "0.1", "range(", "99999", "raise_exception('no')", "strftime_now('%Y')", ".split('</think>')", ".strip()",
      ".items()", ".startswith('a')", ".replace('', 'y')", " if ", " else ", "f(1)", "f(", "caller()", "true", "\n", "  ", "text", "\xC3\xA9", "\xFF"};
  return kFragments;
}

constexpr const char* kSeeds[] = {
    "{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim }}{% endfor %}",
    "{% set ns = namespace(x=0) %}{% for m in messages[::-1] %}{% if m.content is string and 'a' in m.content %}{% set ns.x = ns.x + 1 %}"
    "{% endif %}{% endfor %}{{ ns.x }}",
    "{% macro f(a, b='x') %}{{ a | tojson(indent=2) }}{{ b }}{% endmacro %}{% for m in messages %}{{ f(m) }}{% endfor %}",
};

std::string RandomTemplate(std::mt19937_64& rng) {
  const auto below = [&](size_t n) { return static_cast<size_t>(rng() % n); };
  std::string text = below(2) == 0 ? kSeeds[below(std::size(kSeeds))] : "";
  for (size_t edits = 1 + below(text.empty() ? 60 : 6); edits > 0; --edits) {
    const size_t at = text.empty() ? 0 : below(2) == 0 ? text.size() : below(text.size() + 1);
    switch (below(8)) {
      case 0: text.erase(at, below(8)); break;
      case 1: text.insert(at, text.substr(below(text.size() + 1), below(40))); break;
      case 2: text.insert(at, 1, static_cast<char>(below(256))); break;
      default: text.insert(at, Fragments()[below(Fragments().size())]);
    }
  }
  return text;
}

constexpr const char* kRecords[] = {
    R"({"messages": [{"role": "user", "content": "a é 中 😀"}, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{\"x\": 1}"}}]}]})",
    R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "tools": "[1]"})",
    R"({"instruction": "i", "input": "", "output": "o", "history": [["a", "b"]]})",
    R"({"prompt": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "completion": [{"role": "assistant", "content": 5}]})",
};

std::string RandomRecord(std::mt19937_64& rng) {
  std::string text = kRecords[rng() % std::size(kRecords)];
  for (uint64_t edits = rng() % 4; edits > 0; --edits) {
    const size_t at = rng() % text.size();
    if (rng() % 2 == 0) {
      text[at] = "{}[]\":,01anu\\ \xC3"[rng() % 15];
    } else {
      text.insert(at, text.substr(rng() % text.size(), rng() % 30));
    }
  }
  return text;
}

TEST(TemplateFuzzTest, EndsInATextOrAnError) {
  const char* seconds = std::getenv("WEFT_FUZZ_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds == nullptr ? 2 : std::atoi(seconds));
  int64_t num_texts = 0, num_errors = 0;
  for (uint64_t seed = 0; std::chrono::steady_clock::now() < end; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 rng(seed);
    const std::string source = RandomTemplate(rng);
    const StatusOr<jinja::Value> record = jinja::ParseJsonValue(RandomRecord(rng), "record");
    const StatusOr<Sample> sample = record.ok() ? ReadSample(*record, {}) : StatusOr<Sample>(record.status());
    const StatusOr<ChatTemplate> chat_template = ChatTemplate::Parse(source, "t", R"({"bos_token": "<s>"})");
    ChatInput input{.messages = *jinja::MakeList({}), .tools = {}, .documents = {}, .variables = {}};
    if (sample.ok() && sample->kind == Sample::Kind::kConversation) input.messages = sample->messages;
    const StatusOr<jinja::Text> text =
        chat_template.ok() ? chat_template->Render(input) : StatusOr<jinja::Text>(chat_template.status());
    if (text.ok()) {
      ++num_texts;
      size_t position = 0;
      for (const jinja::Text::Mark& mark : text->marks()) {
        ASSERT_LE(position, mark.begin);
        ASSERT_LT(mark.begin, mark.end);
        position = mark.end;
      }
      ASSERT_LE(position, text->size());
    } else {
      ++num_errors;
      ASSERT_EQ(ExitCode(text.status()), 2) << text.status();
    }
  }
  EXPECT_GT(num_texts, 0);
  EXPECT_GT(num_errors, 0);
}

}  // namespace
}  // namespace weft
