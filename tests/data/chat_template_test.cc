// Chat templates of real models: the cases of WEFT_FIXTURES byte for byte, and random conversations against what
// transformers rendered (tests/data/make_template_vectors.py wrote the vectors).
#include "data/chat_template.h"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>

#include "absl/strings/str_format.h"
#include "core/file.h"
#include "data/jinja/json_value.h"
#include "data/validation_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using jinja::Dict;
using jinja::Value;
using testing::HasSubstr;

Value ReadJson(const std::string& path) {
  const StatusOr<std::string> text = ReadFile(path);
  EXPECT_TRUE(text.ok()) << text.status();
  const StatusOr<Value> value = jinja::ParseJsonValue(*text, path);
  EXPECT_TRUE(value.ok()) << value.status();
  return *value;
}

std::string TextOf(const Dict& dict, std::string_view key) { return dict.Find(key)->AsText()->bytes(); }

const char* FixturesOrNull() { return std::getenv("WEFT_FIXTURES"); }

Value Messages(std::string_view json) { return *jinja::ParseJsonValue(json, "messages"); }

// All templates of the fixtures by name.
std::map<std::string, std::string> SharedTemplates(const std::string& folder) {
  std::map<std::string, std::string> templates;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/jinja")) {
    templates[entry.path().filename().string()] = *ReadFile(entry.path().string());
  }
  const Value cases = ReadJson(folder + "/chat_template_cases_shared.json");
  for (const Value& one : cases.AsList()->items) templates[TextOf(*one.AsDict(), "name")] = TextOf(*one.AsDict(), "template");
  return templates;
}

std::string TokenConfig(std::string_view bos, std::string_view eos) {
  return absl::StrFormat("{\"bos_token\": \"%s\", \"eos_token\": {\"content\": \"%s\"}}", bos, eos);
}

TEST(ChatTemplateTest, MeetsTheSharedCases) {
  if (FixturesOrNull() == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const Value cases = ReadJson(std::string(FixturesOrNull()) + "/templates/chat_template_cases_shared.json");
  for (const Value& one : cases.AsList()->items) {
    const Dict& dict = *one.AsDict();
    const auto chat_template = ChatTemplate::Parse(TextOf(dict, "template"), TextOf(dict, "name"),
                                                   TokenConfig(TextOf(dict, "bos_token"), TextOf(dict, "eos_token")));
    ASSERT_TRUE(chat_template.ok()) << chat_template.status();
    const ChatInput input{.messages = *dict.Find("messages"), .tools = {}, .documents = {},
                          .add_generation_prompt = dict.Find("add_generation_prompt")->IsTrue(), .keep_system = true,
                          .variables = {}};
    const StatusOr<jinja::Text> text = chat_template->Render(input);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(text->bytes(), TextOf(dict, "expected_jinja")) << TextOf(dict, "name");
  }
}

ChatInput InputOf(const Dict& conversation) {
  std::tm clock{.tm_sec = 5, .tm_min = 4, .tm_hour = 3, .tm_mday = 2, .tm_mon = 0, .tm_year = 126, .tm_isdst = -1};
  ChatInput input{.messages = *conversation.Find("messages"), .tools = {}, .documents = {}, .variables = {}};
  input.now = std::mktime(&clock);
  if (conversation.Find("tools") != nullptr) input.tools = *conversation.Find("tools");
  input.add_generation_prompt = conversation.Find("add_generation_prompt")->IsTrue();
  if (const Value* variables = conversation.Find("variables"); variables != nullptr) {
    for (const Dict::Entry& entry : variables->AsDict()->entries) {
      input.variables.emplace_back(entry.key.bytes(), entry.value);
    }
  }
  return input;
}

TEST(ChatTemplateTest, AgreesWithTransformersOnRandomConversations) {
  if (FixturesOrNull() == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::map<std::string, std::string> templates = SharedTemplates(std::string(FixturesOrNull()) + "/templates");
  const Value vectors = ReadJson("tests/data/template_vectors.json");
  const std::vector<Value>& conversations = vectors.AsDict()->Find("conversations")->AsList()->items;
  int num_texts = 0;
  for (const Dict::Entry& entry : vectors.AsDict()->Find("templates")->AsDict()->entries) {
    const auto found = templates.find(entry.key.bytes());
    ASSERT_NE(found, templates.end()) << entry.key.bytes() << " is not among the fixtures";
    const auto chat_template = ChatTemplate::Parse(found->second, found->first, TokenConfig("<s>", "</s>"));
    ASSERT_TRUE(chat_template.ok()) << chat_template.status();
    for (size_t i = 0; i < conversations.size(); ++i) {
      const StatusOr<jinja::Text> text = chat_template->Render(InputOf(*conversations[i].AsDict()));
      const std::string hash = text.ok() ? absl::StrFormat("%016x", ContentHash(text->bytes())) : "error";
      EXPECT_EQ(hash, entry.value.AsList()->items[i].AsText()->bytes())
          << found->first << ", conversation " << i << ": " << (text.ok() ? text->bytes() : text.status().ToString());
      num_texts += text.ok();
    }
  }
  EXPECT_GT(num_texts, 500);
}

TEST(ChatTemplateTest, IsFoundBesideTheTokenizerOrInItsConfig) {
  const ScratchFolder folder;
  const std::string text = R"({"chat_template": "A"})";
  const std::string list = R"({"chat_template": [{"name": "rag", "template": "B"}, {"name": "default", "template": "C"}]})";
  EXPECT_EQ(ChatTemplate::OfModel(folder.Path(), text)->source(), "A");
  EXPECT_EQ(ChatTemplate::OfModel("", list)->source(), "C");
  folder.Write("chat_template.jinja", "D");
  EXPECT_EQ(ChatTemplate::OfModel(folder.Path(), text)->source(), "D");
  const auto absent = ChatTemplate::OfModel("", "");
  EXPECT_THAT(std::string(absent.status().message()), HasSubstr("--template"));
}

TEST(ChatTemplateTest, TakesConfigsWithIntegersBeyond64Bits) {
  const std::string config =
      R"({"model_max_length": 1000000000000000019884624838656, "n": 18446744073709551615, "chat_template": "{{ eos_token }}",
          "eos_token": "<e>"})";
  const auto chat_template = ChatTemplate::OfModel("", config);
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();
  EXPECT_EQ(chat_template->Render({.messages = Messages("[]")})->bytes(), "<e>");
  EXPECT_EQ(*chat_template->IntoConfig(config), config);
}

TEST(ChatTemplateTest, GoesIntoTheConfigWithoutTouchingTheRest) {
  const auto chat_template = ChatTemplate::Parse("{{ 'é' }}", "t", "");
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();
  const std::string same = R"({ "chat_template": "{{ 'é' }}" })";
  EXPECT_EQ(*chat_template->IntoConfig(same), same);
  for (const std::string config : {"", R"({"eos_token": "<e>"})", R"({"chat_template": "other", "eos_token": "<e>"})",
                                   R"({"chat_template": [{"name": "tool_use", "template": "B"}]})"}) {
    const auto changed = chat_template->IntoConfig(config);
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_EQ(ChatTemplate::OfModel("", *changed)->source(), chat_template->source());
    EXPECT_EQ(changed->find("<e>") == std::string::npos, config.find("<e>") == std::string::npos);
  }
  EXPECT_FALSE(chat_template->IntoConfig("[1]").ok());
}

TEST(ChatTemplateTest, MarksWhatMessagesSayAndNotWhoSaysIt) {
  const auto chat_template = ChatTemplate::Parse(
      "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{{ m.x.y if m.x }}{% endfor %}", "t", "");
  const StatusOr<jinja::Text> text = chat_template->Render(
      {.messages = Messages(R"([{"role": "user", "content": " a "}, {"role": "bot", "content": "b", "x": {"y": "c"}}])")});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->bytes(), "<user>a<bot>bc");
  std::string sources;
  for (size_t i = 0; i < text->size(); ++i) sources += static_cast<char>('0' + text->OriginAt(i).source);
  EXPECT_EQ(sources, "00000020111033") << "usual roles are the template's own words";
}

TEST(ChatTemplateTest, KeepsASystemMessageThatTheTemplateLeavesOutIfAsked) {
  const auto chat_template =
      ChatTemplate::Parse("{% for m in messages if m.role != 'system' %}{{ m.role }}: {{ m.content }};{% endfor %}", "t", "");
  ChatInput input{.messages = Messages(R"([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])")};
  EXPECT_EQ(chat_template->Render(input)->bytes(), "user: u;");
  input.keep_system = true;
  EXPECT_EQ(chat_template->Render(input)->bytes(), "user: s\nu;");
}

TEST(ChatTemplateTest, GivesReasoningItsOtherNames) {
  const auto chat_template = ChatTemplate::Parse("{{ messages[0].reasoning_content }}{{ messages[0].thinking }}", "t", "");
  const StatusOr<jinja::Text> text = chat_template->Render({.messages = Messages(R"([{"role": "assistant", "reasoning": "r"}])")});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->bytes(), "rr");
}

TEST(ChatTemplateTest, RefusesWhatIsNoConversation) {
  const auto chat_template = ChatTemplate::Parse("{{ bos_token + 'x' }}", "t", R"({"bos_token": null})");
  EXPECT_THAT(std::string(chat_template->Render({.messages = Messages("5")}).status().message()), HasSubstr("expected a list"));
  EXPECT_THAT(std::string(chat_template->Render({.messages = Messages("[5]")}).status().message()), HasSubstr("messages[0]"));
  EXPECT_THAT(std::string(chat_template->Render({.messages = Messages("[]")}).status().message()),
              HasSubstr("t:1: 'bos_token' is undefined"));
}

}  // namespace
}  // namespace weft
