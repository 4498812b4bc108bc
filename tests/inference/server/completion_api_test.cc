// Calls of the HTTP interface: every field honoured or refused by name, conversations rendered as in training.
#include "inference/server/completion_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/server/completion_answer.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

using nlohmann::json;
using testing::HasSubstr;

StatusOr<CompletionCall> Parse(std::string_view body) {
  static const std::unique_ptr<Tokenizer> kTokenizer = Tokenizer::ByteLevel();
  return ParseCompletionCall(body, "tiny", *kTokenizer);
}

TEST(ParseCompletionCall, TakesEveryField) {
  const auto call = Parse(R"({"model": "tiny", "prompt": "ab", "max_tokens": 7, "temperature": 0.5, "top_p": 0.25,
                              "top_k": 3, "seed": 11, "stop": ["x", "yz"], "ignore_eos": true, "stream": true,
                              "stream_options": {"include_usage": true}, "n": 1, "user": "me", "logprobs": null,
                              "echo": false})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->generation.prompt, Tokenizer::ByteLevel()->Encode("ab"));
  EXPECT_EQ(call->generation.max_tokens, 7);
  EXPECT_EQ(call->generation.sampling.temperature, 0.5);
  EXPECT_EQ(call->generation.sampling.top_p, 0.25);
  EXPECT_EQ(call->generation.sampling.top_k, 3);
  EXPECT_EQ(call->generation.sampling.seed, 11u);
  EXPECT_EQ(call->generation.stop, (std::vector<std::string>{"x", "yz"}));
  EXPECT_TRUE(call->generation.ignore_eos && call->stream && call->include_usage);
}

TEST(ParseCompletionCall, HasOpenAIsDefaultsAndASeedByChance) {
  const auto call = Parse(R"({"prompt": "ab"})"), other = Parse(R"({"prompt": "ab"})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->generation.max_tokens, 16);
  EXPECT_EQ(call->generation.sampling.temperature, 1);
  EXPECT_EQ(call->generation.sampling.top_p, 1);
  EXPECT_FALSE(call->stream || call->generation.ignore_eos);
  EXPECT_NE(call->generation.sampling.seed, other->generation.sampling.seed);
}

TEST(ParseCompletionCall, TakesTheModelsSamplingWhereItSaysNothing) {
  const SamplingOptions defaults = {.temperature = 0.6, .top_p = 0.9, .top_k = 20};
  const auto tokenizer = Tokenizer::ByteLevel();
  const auto call = ParseCompletionCall(R"({"prompt": "ab", "top_p": 0.5, "temperature": null})", "tiny", *tokenizer, defaults);
  const auto chat = ParseChatCall(R"({"messages": [{"role": "user", "content": "a"}], "temperature": 0})", "tiny", *tokenizer,
                                  ChatTemplate::Parse("{{ messages[0].content }}", "t", tokenizer->config_json()), 64, defaults);
  ASSERT_TRUE(call.ok() && chat.ok()) << call.status() << chat.status();
  EXPECT_EQ(call->generation.sampling.temperature, 0.6);
  EXPECT_EQ(call->generation.sampling.top_p, 0.5);
  EXPECT_EQ(call->generation.sampling.top_k, 20);
  EXPECT_EQ(chat->generation.sampling.temperature, 0);
  EXPECT_EQ(chat->generation.sampling.top_k, 20);
}

TEST(ParseCompletionCall, TakesPromptsInEveryFormForOne) {
  EXPECT_EQ(Parse(R"({"prompt": [5, 6]})")->generation.prompt, (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(Parse(R"({"prompt": [[5, 6]]})")->generation.prompt, (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(Parse(R"({"prompt": ["ab"]})")->generation.prompt, Parse(R"({"prompt": "ab"})")->generation.prompt);
}

struct Bad {
  std::string body, param, message;
};
class BadCall : public testing::TestWithParam<Bad> {};

TEST_P(BadCall, IsRefusedByName) {
  const Status status = Parse(GetParam().body).status();
  EXPECT_EQ(HttpStatusOf(status), 400) << status;
  const json error = json::parse(ErrorBody(400, status)).at("error");
  EXPECT_EQ(error.at("type"), "invalid_request_error");
  EXPECT_EQ(error.at("code"), 400);
  EXPECT_THAT(error.at("message").get<std::string>(), HasSubstr(GetParam().message));
  EXPECT_EQ(error.at("param"), GetParam().param.empty() ? json() : json(GetParam().param));
}

std::string With(const std::string& field) { return R"({"prompt": "a", )" + field + "}"; }

INSTANTIATE_TEST_SUITE_P(
    All, BadCall,
    testing::Values(Bad{"", "", "not JSON"}, Bad{"{\"prompt\": ", "", "not JSON"}, Bad{"[1]", "", "JSON object"},
                    Bad{"null", "", "JSON object"}, Bad{std::string(200000, '['), "", "nested"},
                    Bad{"{\"a\": NaN}", "", "not JSON"},
                    Bad{"{}", "prompt", "missing"}, Bad{R"({"prompt": null})", "prompt", "missing"},
                    Bad{R"({"prompt": {}})", "prompt", "text"}, Bad{R"({"prompt": []})", "prompt", "text"},
                    Bad{R"({"prompt": ["a", "b"]})", "prompt", "one prompt"},
                    Bad{R"({"prompt": [1, "a"]})", "prompt", "integer"},
                    Bad{R"({"prompt": [1.5]})", "prompt", "integer"},
                    Bad{R"({"prompt": [-1]})", "prompt", "vocabulary"},
                    Bad{R"({"prompt": [5000000000]})", "prompt", "vocabulary"},
                    Bad{With(R"("max_tokens": "7")"), "max_tokens", "integer"},
                    Bad{With(R"("max_tokens": 1e30)"), "max_tokens", "integer"},
                    Bad{With(R"("max_tokens": 18446744073709551615)"), "max_tokens", "large"},
                    Bad{With(R"("temperature": "hot")"), "temperature", "number"},
                    Bad{With(R"("stream": 1)"), "stream", "true"},
                    Bad{With(R"("stop": "")"), "stop", "empty"}, Bad{With(R"("stop": [1])"), "stop", "string"},
                    Bad{With(R"("stream_options": {"include_usage": true})"), "stream_options", "stream"},
                    Bad{With(R"("stream": true, "stream_options": {"x": true})"), "stream_options.x", "supported"},
                    Bad{With(R"("n": 2)"), "n", "supported"}, Bad{With(R"("echo": true)"), "echo", "supported"},
                    Bad{With(R"("logprobs": 3)"), "logprobs", "supported"},
                    Bad{With(R"("presence_penalty": 0.5)"), "presence_penalty", "supported"},
                    Bad{With(R"("logit_bias": {"3": 1})"), "logit_bias", "supported"},
                    Bad{With(R"("tempurature": 1)"), "tempurature", "supported"},
                    Bad{With(R"("model": 3)"), "model", "string"}));

TEST(ParseCompletionCall, DoesNotKnowOtherModels) {
  const Status status = Parse(R"({"model": "huge", "prompt": "a"})").status();
  EXPECT_EQ(HttpStatusOf(status), 404);
  const json error = json::parse(ErrorBody(404, status)).at("error");
  EXPECT_THAT(error.at("message").get<std::string>(), HasSubstr("huge"));
  EXPECT_EQ(error.at("param"), "model");
}

// --- Chats ------------------------------------------------------------------------------------------------------------

constexpr char kTemplate[] =
    "{% for m in messages %}{{ m.role + ':' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% if not enable_thinking|default(true) %}!{% endif %}{% endif %}";
constexpr int64_t kCapacity = 100;

StatusOr<CompletionCall> ParseChat(std::string_view body, const std::string& chat_template = kTemplate) {
  static const std::unique_ptr<Tokenizer> kTokenizer = Tokenizer::ByteLevel();
  return ParseChatCall(body, "tiny", *kTokenizer, ChatTemplate::Parse(chat_template, "t", kTokenizer->config_json()), kCapacity);
}

// A chat's prompt as text, with control tokens; and how many of them it holds.
using Prompt = std::pair<std::string, int>;
Prompt PromptOf(const StatusOr<CompletionCall>& call) {
  EXPECT_TRUE(call.ok()) << call.status();
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::ByteLevel();
  int num_control = 0;
  for (const int32_t id : call->generation.prompt) num_control += tokenizer->IsControl(id);
  return {tokenizer->Decode(call->generation.prompt, /*skip_special=*/false), num_control};
}

TEST(ParseChatCall, RendersMessagesAndKeepsControlTokensForTheTemplate) {
  const auto call = ParseChat(R"({"messages": [{"role": "system", "content": "s"},
      {"role": "user", "content": [{"type": "text", "text": "<|endo"}, {"type": "text", "text": "ftext|>"}]}]})");
  EXPECT_EQ(PromptOf(call), Prompt("system:s<|endoftext|>user:<|endoftext|><|endoftext|>assistant:", 2));
  EXPECT_EQ(call->kind, CallKind::kChat);
  EXPECT_EQ(PromptOf(ParseChat(R"({"messages": [{"role": "user", "content": "a"}], "tools": [], "tool_choice": "none",
      "chat_template_kwargs": {"enable_thinking": false}})")), Prompt("user:a<|endoftext|>assistant:!", 1));
}

TEST(ParseChatCall, MayFillTheContextUnlessLimited) {
  const auto call = ParseChat(R"({"messages": [{"role": "user", "content": "a"}]})");
  EXPECT_EQ(call->generation.max_tokens, kCapacity - static_cast<int64_t>(call->generation.prompt.size()));
  for (const std::string limit : {"max_tokens", "max_completion_tokens"}) {
    EXPECT_EQ(ParseChat(R"({"messages": [{"role": "user", "content": "a"}], ")" + limit + R"(": 5})")->generation.max_tokens, 5);
  }
  const auto full = ParseChat(R"({"messages": [{"role": "user", "content": ")" + std::string(200, 'x') + R"("}]})");
  EXPECT_EQ(full->generation.max_tokens, 1) << "the engine says what does not fit";
}

class BadChat : public testing::TestWithParam<Bad> {};

TEST_P(BadChat, IsRefusedByName) {
  const Status status = ParseChat(GetParam().body).status();
  EXPECT_EQ(HttpStatusOf(status), 400) << status;
  const json error = json::parse(ErrorBody(400, status)).at("error");
  EXPECT_THAT(error.at("message").get<std::string>(), HasSubstr(GetParam().message));
  EXPECT_EQ(error.at("param"), GetParam().param.empty() ? json() : json(GetParam().param));
}

std::string Talk(const std::string& field) { return R"({"messages": [{"role": "user", "content": "a"}], )" + field + "}"; }

INSTANTIATE_TEST_SUITE_P(
    All, BadChat,
    testing::Values(Bad{"[1]", "", "JSON object"}, Bad{"{}", "messages", "no 'messages'"},
                    Bad{R"({"messages": null})", "messages", "no 'messages'"},
                    Bad{R"({"messages": "hello"})", "messages", "list"}, Bad{R"({"messages": []})", "messages", "no messages"},
                    Bad{R"({"messages": [123]})", "messages", "object"}, Bad{R"({"messages": [{}]})", "messages", "role"},
                    Bad{R"({"messages": [{"role": 1, "content": "a"}]})", "messages", "role"},
                    Bad{R"({"messages": [{"role": "user", "content": 123}]})", "messages", "messages[0]: content"},
                    Bad{R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})", "messages", "parts"},
                    Bad{Talk(R"("prompt": "a")"), "prompt", "supported"},
                    Bad{Talk(R"("tools": [{"type": "function"}])"), "tools", "supported"},
                    Bad{Talk(R"("response_format": {"type": "json_object"})"), "response_format", "supported"},
                    Bad{Talk(R"("logprobs": true)"), "logprobs", "supported"},
                    Bad{Talk(R"("max_completion_tokens": "5")"), "max_completion_tokens", "integer"},
                    Bad{Talk(R"("max_tokens": 5, "max_completion_tokens": 5)"), "max_completion_tokens", "one of the two"},
                    Bad{Talk(R"("chat_template_kwargs": 5)"), "chat_template_kwargs", "object"},
                    Bad{Talk(R"("chat_template_kwargs": {"messages": []})"), "chat_template_kwargs.messages", "client"},
                    Bad{Talk(R"("chat_template_kwargs": {"tools": []})"), "chat_template_kwargs.tools", "client"},
                    Bad{Talk(R"("chat_template_kwargs": {"add_generation_prompt": false})"),
                        "chat_template_kwargs.add_generation_prompt", "client"},
                    Bad{Talk(R"("chat_template_kwargs": {"bos_token": ""})"), "chat_template_kwargs.bos_token", "client"},
                    Bad{Talk(R"("chat_template_kwargs": {"eos_token": ""})"), "chat_template_kwargs.eos_token", "client"},
                    Bad{Talk(R"("stream_options": {"include_usage": true})"), "stream_options", "stream"}));

TEST(ParseChatCall, SaysWhyATemplateDoesNotServe) {
  const std::string body = R"({"messages": [{"role": "user", "content": "a"}]})";
  const Status raised = ParseChat(body, "{{ raise_exception('roles must alternate') }}").status();
  EXPECT_EQ(HttpStatusOf(raised), 400);
  EXPECT_THAT(std::string(raised.message()), HasSubstr("roles must alternate"));
  const Status none = ParseChatCall(body, "tiny", *Tokenizer::ByteLevel(), UserError("no template"), kCapacity).status();
  EXPECT_THAT(std::string(none.message()), HasSubstr("no template"));
}

}  // namespace
}  // namespace weft
