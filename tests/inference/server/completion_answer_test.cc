// Answers of the HTTP interface: completions, chats, errors and the model in OpenAI's shapes.
#include "inference/server/completion_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nlohmann/json.hpp"

namespace weft {
namespace {

using nlohmann::json;

TEST(ErrorBody, IsBoundedAndAlwaysJson) {
  const std::string name(100000, 'x');
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::ByteLevel();
  for (const std::string& body : {R"({"prompt": "a", ")" + name + R"(": 1})", "\"" + name}) {
    EXPECT_LT(ErrorBody(400, ParseCompletionCall(body, "tiny", *tokenizer).status()).size(), 4096u);
  }
  const json split = json::parse(ErrorBody(500, absl::InternalError(std::string(999, 'x') + "\xC3\xA9")));
  EXPECT_EQ(split.at("error").at("type"), "server_error");
}

TEST(CompletionAnswer, HasOpenAIsShapes) {
  const CompletionAnswer answer(CallKind::kText, "tiny", 5, /*include_usage=*/true);
  const json whole = json::parse(answer.Body("all", {.finished = FinishReason::kLength, .completion_tokens = 3}));
  EXPECT_THAT(whole.at("id").get<std::string>(), testing::StartsWith("cmpl-"));
  EXPECT_EQ(whole.at("object"), "text_completion");
  EXPECT_TRUE(whole.at("created").is_number_integer());
  EXPECT_EQ(whole.at("model"), "tiny");
  const json choice = {{"index", 0}, {"text", "all"}, {"logprobs", nullptr}, {"finish_reason", "length"}};
  EXPECT_EQ(whole.at("choices"), json::array({choice}));
  const json usage = {{"prompt_tokens", 5}, {"completion_tokens", 3}, {"total_tokens", 8}};
  EXPECT_EQ(whole.at("usage"), usage);

  const json chunk = json::parse(answer.Chunks({.text = "al"})[0]);
  EXPECT_EQ(chunk.at("id"), whole.at("id"));
  EXPECT_EQ(chunk.at("choices")[0].at("text"), "al");
  EXPECT_EQ(chunk.at("choices")[0].at("finish_reason"), json());
  EXPECT_EQ(chunk.at("usage"), json());
  EXPECT_EQ(json::parse(answer.Chunks({.finished = FinishReason::kStop})[0]).at("choices")[0].at("finish_reason"), "stop");
  const json last = json::parse(answer.UsageChunk({.completion_tokens = 3}));
  EXPECT_EQ(last.at("choices"), json::array());
  EXPECT_EQ(last.at("usage"), usage);
  EXPECT_FALSE(json::parse(CompletionAnswer(CallKind::kText, "tiny", 5, false).Chunks({})[0]).contains("usage"));
}

TEST(CompletionAnswer, HasTheShapesOfChats) {
  const CompletionAnswer answer(CallKind::kChat, "tiny", 5, /*include_usage=*/false);
  const json whole = json::parse(answer.Body("all", {.finished = FinishReason::kStop, .completion_tokens = 3}));
  EXPECT_THAT(whole.at("id").get<std::string>(), testing::StartsWith("chatcmpl-"));
  EXPECT_EQ(whole.at("object"), "chat.completion");
  const json message = {{"role", "assistant"}, {"content", "all"}, {"refusal", nullptr}};
  const json choice = {{"index", 0}, {"message", message}, {"logprobs", nullptr}, {"finish_reason", "stop"}};
  EXPECT_EQ(whole.at("choices"), json::array({choice}));
  EXPECT_EQ(whole.at("usage").at("total_tokens"), 8);

  const auto choice_of = [](const std::string& chunk) {
    const json object = json::parse(chunk);
    EXPECT_EQ(object.at("object"), "chat.completion.chunk");
    return object.at("choices")[0];
  };
  EXPECT_EQ(choice_of(*answer.OpeningChunk()).at("delta"), json({{"role", "assistant"}, {"content", ""}}));
  EXPECT_EQ(choice_of(answer.Chunks({.text = "al"})[0]).at("delta"), json({{"content", "al"}}));
  const std::vector<std::string> end = answer.Chunks({.text = "l", .finished = FinishReason::kStop});
  ASSERT_EQ(end.size(), 2u);
  EXPECT_EQ(choice_of(end[0]).at("delta"), json({{"content", "l"}}));
  EXPECT_EQ(choice_of(end[0]).at("finish_reason"), json());
  EXPECT_EQ(choice_of(end[1]).at("delta"), json::object());
  EXPECT_EQ(choice_of(end[1]).at("finish_reason"), "stop");
  EXPECT_FALSE(CompletionAnswer(CallKind::kText, "tiny", 5, false).OpeningChunk().has_value());
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
