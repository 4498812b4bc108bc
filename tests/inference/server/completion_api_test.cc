// Bodies of the HTTP interface: every field honoured or refused by name, answers in OpenAI's shapes.
#include "inference/server/completion_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(ErrorBody, IsBoundedAndAlwaysJson) {
  const std::string name(100000, 'x');
  const Status status = Parse(R"({"prompt": "a", ")" + name + R"(": 1})").status();
  EXPECT_LT(ErrorBody(400, status).size(), 4096u);
  EXPECT_LT(ErrorBody(400, Parse("\"" + name).status()).size(), 4096u);
  const json split = json::parse(ErrorBody(500, absl::InternalError(std::string(999, 'x') + "\xC3\xA9")));
  EXPECT_EQ(split.at("error").at("type"), "server_error");
}

TEST(CompletionAnswer, HasOpenAIsShapes) {
  const CompletionAnswer answer("tiny", 5, /*include_usage=*/true);
  const json whole = json::parse(answer.Body("all", {.finished = FinishReason::kLength, .completion_tokens = 3}));
  EXPECT_THAT(whole.at("id").get<std::string>(), testing::StartsWith("cmpl-"));
  EXPECT_EQ(whole.at("object"), "text_completion");
  EXPECT_TRUE(whole.at("created").is_number_integer());
  EXPECT_EQ(whole.at("model"), "tiny");
  const json choice = {{"index", 0}, {"text", "all"}, {"logprobs", nullptr}, {"finish_reason", "length"}};
  EXPECT_EQ(whole.at("choices"), json::array({choice}));
  const json usage = {{"prompt_tokens", 5}, {"completion_tokens", 3}, {"total_tokens", 8}};
  EXPECT_EQ(whole.at("usage"), usage);

  const json chunk = json::parse(answer.Chunk({.text = "al"}));
  EXPECT_EQ(chunk.at("id"), whole.at("id"));
  EXPECT_EQ(chunk.at("choices")[0].at("text"), "al");
  EXPECT_EQ(chunk.at("choices")[0].at("finish_reason"), json());
  EXPECT_EQ(chunk.at("usage"), json());
  EXPECT_EQ(json::parse(answer.Chunk({.finished = FinishReason::kStop})).at("choices")[0].at("finish_reason"), "stop");
  const json last = json::parse(answer.UsageChunk({.completion_tokens = 3}));
  EXPECT_EQ(last.at("choices"), json::array());
  EXPECT_EQ(last.at("usage"), usage);
  EXPECT_FALSE(json::parse(CompletionAnswer("tiny", 5, false).Chunk({})).contains("usage"));
}

TEST(ModelsBody, ListsTheOneModel) {
  const json body = json::parse(ModelsBody("tiny", 12, 64));
  EXPECT_EQ(body.at("object"), "list");
  EXPECT_EQ(body.at("data").size(), 1u);
  EXPECT_EQ(body.at("data")[0].at("id"), "tiny");
  EXPECT_EQ(body.at("data")[0].at("object"), "model");
  EXPECT_EQ(body.at("data")[0].at("max_model_len"), 64);
}

}  // namespace
}  // namespace weft
