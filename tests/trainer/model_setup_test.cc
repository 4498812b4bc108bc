// Which token ids a model gets that is trained on a store: those of the tokenizer that made the data.
#include "trainer/model_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "data/prepare.h"
#include "data/tokenizer.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kBos = 256, kEos = 257;  // of the tokenizer of bytes

class ModelSetupTest : public testing::Test {
 protected:
  ModelSetupTest() : folder_(StrCat(testing::TempDir(), "/model_setup_test_", ::getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/text.txt") << "A text that is long enough to be learnt from, if only barely.\n";
    const Status prepared = PrepareData({.inputs = {folder_ + "/text.txt"}, .to = folder_ + "/data.h5", .tokenizer = "", .sequence_length = 32});
    EXPECT_TRUE(prepared.ok()) << prepared;
    EXPECT_TRUE(Tokenizer::ByteLevel()->Save(folder_).ok());
  }
  ~ModelSetupTest() override { std::filesystem::remove_all(folder_); }

  // The GPT-2 with `ids` in its config.json, as a run on the store gets it; `logged` is what the user was told.
  ModelConfig Resolve(const nlohmann::json& ids, std::string* logged) {
    const StatusOr<ModelConfig> model = TryResolve(ids, logged);
    EXPECT_TRUE(model.ok()) << model.status();
    return *model;
  }
  StatusOr<ModelConfig> TryResolve(const nlohmann::json& ids, std::string* logged) {
    nlohmann::json config = {{"model_type", "gpt2"}, {"vocab_size", 272}, {"n_embd", 16}, {"n_layer", 1}, {"n_head", 2}, {"n_positions", 32}};
    config.update(ids);
    std::ofstream(folder_ + "/config.json") << config.dump();
    RunConfig run;
    run.model.path = folder_;
    run.data.sequence_length = 32;
    const StatusOr<std::shared_ptr<const TokenStore>> store = TokenStore::Open(folder_ + "/data.h5");
    EXPECT_TRUE(store.ok()) << store.status();
    testing::internal::CaptureStderr();
    StatusOr<ModelConfig> model = ResolveModel(run, **store);
    *logged = testing::internal::GetCapturedStderr();
    return model;
  }

  std::string folder_;
};

TEST_F(ModelSetupTest, ReplacesIdsThatTheDataIsNotMadeWith) {
  std::string logged;
  const ModelConfig model = Resolve({{"bos_token_id", 50256}, {"eos_token_id", 100}}, &logged);
  EXPECT_EQ(model.bos_token_id, kBos);
  EXPECT_THAT(model.eos_token_ids, ElementsAre(kEos));
  EXPECT_THAT(logged, HasSubstr("bos_token_id: the model's 50256 gives way to 256 of the tokenizer in " + folder_));
  EXPECT_THAT(logged, HasSubstr("eos_token_id: the model's 100 gives way to 257 of the tokenizer in " + folder_));
}

TEST_F(ModelSetupTest, KeepsAListThatHasTheTokenizersEnd) {
  std::string logged;
  EXPECT_THAT(Resolve({{"bos_token_id", 256}, {"eos_token_id", {5, 257}}}, &logged).eos_token_ids, ElementsAre(5, kEos));
  EXPECT_EQ(logged, "");
}

TEST_F(ModelSetupTest, LeavesOutIdsBeyondTheVocabulary) {
  std::string logged;
  EXPECT_THAT(Resolve({{"bos_token_id", 256}, {"eos_token_id", {50256, 257}}}, &logged).eos_token_ids, ElementsAre(kEos));
  EXPECT_THAT(logged, HasSubstr("eos_token_id: 50256 is outside the vocabulary of 272 and left out"));
}

TEST_F(ModelSetupTest, GivesTheTokenizersIdsToAModelWithNone) {
  std::string logged;
  const ModelConfig model = Resolve(nlohmann::json::object(), &logged);
  EXPECT_EQ(model.bos_token_id, kBos);
  EXPECT_THAT(model.eos_token_ids, ElementsAre(kEos));
}

TEST_F(ModelSetupTest, RefusesDataOfAnotherTokenizerInEitherFile) {
  std::string logged;
  std::ofstream(folder_ + "/tokenizer.json") << R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "decoder": {"type": "Fuse"}})";
  std::filesystem::remove(folder_ + "/tokenizer_config.json");
  StatusOr<ModelConfig> model = TryResolve(nlohmann::json::object(), &logged);
  EXPECT_EQ(ExitCode(model.status()), 2);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("was tokenised with another tokenizer than that of " + folder_));
  if (std::getenv("WEFT_FIXTURES") == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  std::filesystem::remove(folder_ + "/tokenizer.json");
  std::filesystem::copy_file(std::string(std::getenv("WEFT_FIXTURES")) + "/models/stories260K/hf/tokenizer.model",
                             folder_ + "/tokenizer.model");
  model = TryResolve(nlohmann::json::object(), &logged);
  EXPECT_EQ(ExitCode(model.status()), 2);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("was tokenised with another tokenizer than that of " + folder_));
}

TEST_F(ModelSetupTest, SaysThatAFolderWithoutATokenizerCannotBeCompared) {
  std::string logged;
  std::filesystem::remove(folder_ + "/tokenizer.json");
  EXPECT_TRUE(TryResolve(nlohmann::json::object(), &logged).ok());
  EXPECT_THAT(logged, HasSubstr("model.path: " + folder_ + " holds no tokenizer, so whether"));
}

}  // namespace
}  // namespace weft
