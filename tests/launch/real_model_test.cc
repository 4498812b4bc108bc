// A real trained model (WEFT_FIXTURES/models/stories260K): loads, gives its recorded text, trains further, and survives
// import, checkpoint and export bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "checkpoint/safetensors.h"
#include "nlohmann/json.hpp"
#include "tests/launch/job.h"

namespace weft {
namespace {

class RealModel : public testing::Test {
 protected:
  void SetUp() override {
    const char* fixtures = std::getenv("WEFT_FIXTURES");
    if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES names no folder of fixtures";
    fixtures_ = fixtures;
    model_ = fixtures_ + "/models/stories260K/hf";
  }
  // A run that starts from the model, on tinyshakespeare.
  JobResult Train(const std::string& name, const std::string& more) {
    const std::string data = scratch_.path() + "/data.h5";
    const JobResult prepared = RunWeft("data prepare " + fixtures_ + "/corpora/tinyshakespeare.txt --tokenizer " + model_ +
                                       " --to " + data + " --sequence-length 128 --validation-fraction 0");
    EXPECT_EQ(prepared.exit_code, 0) << prepared.err;
    return RunWeft("train configs/tiny.yaml --set device=cpu --set model.path=" + model_ + " --set data.path=" + data +
                   " --set data.sequence_length=128 --set output=" + scratch_.path() + "/" + name + " " + more);
  }
  std::string Expected(const std::string& key) const {
    return nlohmann::json::parse(std::ifstream(fixtures_ + "/models/stories260K/expected.json")).at(key).get<std::string>();
  }

  std::string fixtures_, model_;
  ScratchFolder scratch_;
};

std::map<std::string, std::string> TensorsOf(const std::string& folder) {
  std::map<std::string, std::string> tensors;
  const StatusOr<SafetensorsFile> file = SafetensorsFile::Open(folder + "/model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  for (const SafetensorsEntry& entry : file->entries()) tensors[entry.name] = std::string(file->Data(entry));
  return tensors;
}

TEST_F(RealModel, GivesItsRecordedText) {
  const JobResult told = RunWeft("generate " + model_ + " --prompt '' --max-tokens 200 --temperature 0");
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_EQ(told.out, Expected("greedy_from_BOS_200_steps_text"));
}

TEST_F(RealModel, SurvivesImportCheckpointAndExportBitForBit) {
  // A learning rate too small to move any weight.
  const JobResult run = Train("still", "--set steps=1 --set optimizer.params.lr=1e-30 --set scheduler.type=constant "
                                       "--set scheduler.params={}");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ASSERT_EQ(RunWeft("export " + scratch_.path() + "/still --to " + scratch_.path() + "/model").exit_code, 0);
  EXPECT_EQ(TensorsOf(scratch_.path() + "/model"), TensorsOf(model_));
  const JobResult told = RunWeft("generate " + scratch_.path() + "/model --prompt '' --max-tokens 200 --temperature 0");
  EXPECT_EQ(told.out, Expected("greedy_from_BOS_200_steps_text"));
}

TEST_F(RealModel, TrainsFurther) {
  const JobResult run = Train("further", "--set steps=30 --set optimizer.params.lr=1e-3");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const std::vector<double> losses = MetricOf(scratch_.path() + "/further", "loss");
  ASSERT_EQ(losses.size(), 30u);
  EXPECT_LT(losses.front(), 6.0) << "a trained model starts below the ln 512 = 6.2 of an ignorant one";
  EXPECT_LT(losses.back(), losses.front() - 0.5);
}

TEST_F(RealModel, IsRefusedWithDataOfAnotherTokenizer) {
  const JobResult run = RunWeft("train configs/tiny.yaml --set model.path=" + model_ + " --set data.path=" + SmallTokenStore() +
                                " --set output=" + scratch_.path() + "/run");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, testing::HasSubstr("weft data prepare"));
}

}  // namespace
}  // namespace weft
