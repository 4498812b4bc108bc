// The engine: many requests at once give what each gives alone; stops, limits, cancellation, the queue; a real model's
// recorded tokens.
#include "inference/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <future>

#include "inference/load.h"
#include "nlohmann/json.hpp"
#include "tests/data/scratch_folder.h"
#include "tests/inference/model_folder.h"

namespace weft {
namespace {

using testing::HasSubstr;

// What came of one request.
struct Outcome {
  std::string text;
  Delivery last;
  int num_deliveries = 0;
};

// Submits and returns the outcome to come. `wanted` is asked at each delivery.
std::future<Outcome> Start(Engine& engine, CompletionRequest request,
                           std::function<bool()> wanted = [] { return true; }) {
  struct Progress {
    Outcome outcome;
    std::promise<Outcome> done;
  };
  auto progress = std::make_shared<Progress>();
  std::future<Outcome> future = progress->done.get_future();
  request.deliver = [progress, wanted](const Delivery& delivery) {
    progress->outcome.text += delivery.text;
    progress->outcome.last = delivery;
    ++progress->outcome.num_deliveries;
    const bool goes_on = wanted();
    if (delivery.finished != FinishReason::kNone || !goes_on) progress->done.set_value(progress->outcome);
    return goes_on;
  };
  const Status submitted = engine.Submit(std::move(request));
  EXPECT_TRUE(submitted.ok()) << submitted;
  return future;
}

class EngineTest : public testing::Test {
 protected:
  void SetUp() override { WriteModelFolder(scratch_.Path(), ServableConfig()); }
  std::unique_ptr<Engine> MakeEngine(int64_t num_slots) {
    StatusOr<std::unique_ptr<Engine>> engine = LoadEngine(scratch_.Path(), {.num_slots = num_slots});
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }
  static CompletionRequest Ask(const Engine& engine, const std::string& prompt, int64_t max_tokens) {
    return {.prompt = engine.tokenizer().Encode(prompt), .max_tokens = max_tokens, .sampling = {.temperature = 0},
            .ignore_eos = true};
  }
  ScratchFolder scratch_;
};

TEST_F(EngineTest, GivesEachRequestWhatItGetsAlone) {
  const std::unique_ptr<Engine> one = MakeEngine(1), four = MakeEngine(4);
  std::vector<CompletionRequest> requests;
  for (int i = 0; i < 12; ++i) {
    const std::string prompt(static_cast<size_t>(1 + i * 3), static_cast<char>('a' + i));
    CompletionRequest request = Ask(*one, prompt, 5 + i);
    if (i % 3 == 1) request.sampling = {.temperature = 1, .top_p = 0.9, .seed = static_cast<uint64_t>(i)};
    requests.push_back(std::move(request));
  }
  std::vector<std::string> alone;
  for (const CompletionRequest& request : requests) alone.push_back(Start(*one, request).get().text);
  std::vector<std::future<Outcome>> together;
  for (const CompletionRequest& request : requests) together.push_back(Start(*four, request));
  for (size_t i = 0; i < requests.size(); ++i) {
    const Outcome outcome = together[i].get();
    EXPECT_EQ(outcome.text, alone[i]) << i;
    EXPECT_EQ(outcome.last.finished, FinishReason::kLength);
    EXPECT_EQ(outcome.last.completion_tokens, requests[i].max_tokens);
  }
  EXPECT_NE(alone[0], alone[3]) << "prompts matter";
}

TEST_F(EngineTest, EndsBeforeAStopStringAndNeverShowsIt) {
  const std::unique_ptr<Engine> engine = MakeEngine(1);
  const std::string whole = Start(*engine, Ask(*engine, "tell", 40)).get().text;
  ASSERT_GT(whole.size(), 12u);
  for (const size_t begin : {size_t{0}, size_t{3}, whole.size() / 2}) {
    const std::string stop = whole.substr(begin, 5);
    CompletionRequest request = Ask(*engine, "tell", 40);
    request.stop = {"never to be seen", stop};
    const Outcome outcome = Start(*engine, request).get();
    EXPECT_EQ(outcome.text, whole.substr(0, whole.find(stop)));
    EXPECT_EQ(outcome.last.finished, FinishReason::kStop);
  }
  CompletionRequest request = Ask(*engine, "tell", 40);
  request.stop = {whole.substr(whole.size() - 4) + "and more"};  // its beginning is held back, and then given
  EXPECT_EQ(Start(*engine, request).get().text, whole);
}

// The greedy token after `prompt` and the one after that.
std::pair<int32_t, int32_t> FirstTwo(const std::string& folder, const std::vector<int32_t>& prompt) {
  const StatusOr<std::unique_ptr<InferenceModel>> model = InferenceModel::Load(folder, {});
  EXPECT_TRUE(model.ok()) << model.status();
  const int32_t first = SampleToken({.temperature = 0}, (*model)->Prefill(0, prompt), 0);
  const absl::Span<const float> next = (*model)->Decode({{{0, first, static_cast<int64_t>(prompt.size())}}});
  return {first, SampleToken({.temperature = 0}, next, 1)};
}

TEST_F(EngineTest, EndsAtAnEosIdUnlessToldNotTo) {
  CompletionRequest request = {.prompt = {5, 6}, .max_tokens = 20, .sampling = {.temperature = 0}, .ignore_eos = true};
  const auto [first, second] = FirstTwo(scratch_.Path(), request.prompt);
  scratch_.Write("generation_config.json", nlohmann::json{{"eos_token_id", {300000, second}}}.dump());
  const std::unique_ptr<Engine> engine = MakeEngine(1);
  EXPECT_EQ(Start(*engine, request).get().last.completion_tokens, 20);
  request.ignore_eos = false;
  const Outcome outcome = Start(*engine, request).get();
  EXPECT_EQ(outcome.last.finished, FinishReason::kStop);
  EXPECT_EQ(outcome.last.completion_tokens, first == second ? 1 : 2);
}

TEST_F(EngineTest, FreesTheSlotOfWhoeverLosesInterest) {
  const std::unique_ptr<Engine> engine = MakeEngine(1);
  int asked = 0;
  std::future<Outcome> left = Start(*engine, Ask(*engine, "x", 50), [&asked] { return ++asked < 4; });
  std::future<Outcome> stays = Start(*engine, Ask(*engine, "x", 5));
  EXPECT_EQ(left.get().num_deliveries, 4);
  EXPECT_EQ(stays.get().last.finished, FinishReason::kLength);
  std::future<Outcome> never = Start(*engine, Ask(*engine, "x", 50), [] { return false; });
  EXPECT_EQ(never.get().num_deliveries, 1) << "asked before its prompt is read";
}

TEST_F(EngineTest, RefusesWhatItCannotAnswer) {
  const std::unique_ptr<Engine> engine = MakeEngine(1);
  const auto error = [&](CompletionRequest request) {
    request.deliver = [](const Delivery&) { return true; };
    const Status status = engine->Submit(std::move(request));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(error({.prompt = {}}), HasSubstr("empty"));
  EXPECT_THAT(error({.prompt = {1}, .max_tokens = 0}), HasSubstr("max_tokens"));
  EXPECT_THAT(error({.prompt = {1}, .max_tokens = 64}), HasSubstr("context of 64"));
  EXPECT_THAT(error({.prompt = {1}, .max_tokens = INT64_MAX}), HasSubstr("context of 64"));
  EXPECT_THAT(error({.prompt = {1, 272}}), HasSubstr("vocabulary"));
  EXPECT_THAT(error({.prompt = {-1}}), HasSubstr("vocabulary"));
  EXPECT_THAT(error({.prompt = {1}, .sampling = {.top_p = 2}}), HasSubstr("top_p"));
  EXPECT_EQ(Start(*engine, {.prompt = {1}, .max_tokens = 63, .ignore_eos = true}).get().last.completion_tokens, 63);
}

TEST_F(EngineTest, BoundsItsQueueAndCancelsAllWhenItStops) {
  StatusOr<std::unique_ptr<InferenceModel>> model = InferenceModel::Load(scratch_.Path(), {.num_slots = 1});
  ASSERT_TRUE(model.ok());
  Engine engine(*std::move(model), Tokenizer::ByteLevel(), {}, /*max_queued=*/2);
  std::promise<void> begun, go_on;
  std::shared_future<void> may_go_on = go_on.get_future().share();
  bool first = true;
  std::future<Outcome> busy = Start(engine, Ask(engine, "x", 50), [&] {
    if (first) begun.set_value();
    first = false;
    may_go_on.wait();
    return true;
  });
  begun.get_future().wait();  // it has left the queue
  std::vector<std::future<Outcome>> queued;
  for (int i = 0; i < 2; ++i) queued.push_back(Start(engine, Ask(engine, "x", 50)));
  CompletionRequest one_too_many = Ask(engine, "x", 5);
  one_too_many.deliver = [](const Delivery&) { return true; };
  EXPECT_EQ(engine.Submit(one_too_many).code(), absl::StatusCode::kResourceExhausted);
  std::thread stopper([&] { engine.Stop(); });
  while (engine.Submit(one_too_many).code() != absl::StatusCode::kUnavailable) std::this_thread::yield();
  go_on.set_value();
  stopper.join();
  EXPECT_EQ(busy.get().last.finished, FinishReason::kCancelled);
  for (std::future<Outcome>& outcome : queued) EXPECT_EQ(outcome.get().last.finished, FinishReason::kCancelled);
}

TEST_F(EngineTest, RefusesATokenizerLargerThanItsModel) {
  ModelConfig config = ServableConfig();
  config.vocab_size -= 16;
  WriteModelFolder(scratch_.Path(), config);
  EXPECT_THAT(std::string(LoadEngine(scratch_.Path(), {}).status().message()), HasSubstr("tokenizer"));
}

TEST_F(EngineTest, RefusesABrokenGenerationConfig) {
  scratch_.Write("generation_config.json", R"({"eos_token_id": "two"})");
  EXPECT_THAT(std::string(LoadEngine(scratch_.Path(), {}).status().message()), HasSubstr("eos_token_id"));
}

TEST(Stories, GivesItsRecordedGreedyTokens) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::string folder = std::string(fixtures) + "/models/stories260K";
  const auto expected = nlohmann::json::parse(std::ifstream(folder + "/expected.json"))
                            .at("greedy_from_BOS_256_steps_ids").get<std::vector<int32_t>>();
  const StatusOr<std::unique_ptr<InferenceModel>> model = InferenceModel::Load(folder + "/hf", {.num_threads = 2});
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<int32_t> tokens = {1};
  absl::Span<const float> logits = (*model)->Prefill(0, tokens);
  while (tokens.size() < expected.size()) {
    tokens.push_back(SampleToken({.temperature = 0}, logits, 0));
    logits = (*model)->Decode({{{0, tokens.back(), static_cast<int64_t>(tokens.size()) - 1}}});
  }
  EXPECT_EQ(tokens, expected);
}

}  // namespace
}  // namespace weft
