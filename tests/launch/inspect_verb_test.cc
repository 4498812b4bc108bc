// `weft inspect schedule`, `weft inspect params` and `weft inspect data` as users run them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::Not;

JobResult Inspect(const std::string& more) {
  return RunWeft("inspect schedule configs/tiny.yaml --set model.num_hidden_layers=4 " + more);
}

TEST(Verbs, NameTheOneThatIsNone) {
  const JobResult job = RunWeft("trian configs/tiny.yaml");
  EXPECT_EQ(job.exit_code, 2);
  EXPECT_EQ(job.err, "weft: error: 'trian' is no verb of weft; weft --help lists them\n");
}

TEST(InspectSchedule, DrawsTheStepOfEveryPipelineRank) {
  const JobResult job = Inspect("--set parallel.pp=2 --set train_micro_batch_size_per_gpu=2");
  ASSERT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(job.out, HasSubstr("1f1b: 4 micro-batches a step over pp 2, dp 1, tp 1; nothing is sharded\n"));
  EXPECT_THAT(job.out, HasSubstr("rank 0: embedding, blocks 0-1\nrank 1: blocks 2-3, head\n"));
  EXPECT_THAT(job.out, HasSubstr("rank 0  │F0 F1 "));
  EXPECT_THAT(job.out, HasSubstr("(the bubble)"));
  EXPECT_THAT(job.out, Not(HasSubstr("A2.0>1")));
}

TEST(InspectSchedule, ListsActionsAndShardsOverTheRanksAskedFor) {
  const JobResult job = Inspect(
      "--ranks 4 --actions --set parallel.pp=2 --set train_micro_batch_size_per_gpu=4 --set zero_optimization.stage=3");
  ASSERT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(job.out, HasSubstr("pp 2, dp 2, tp 1; ZeRO 3, reshard per_micro_batch, prefetch 1\n"));
  EXPECT_THAT(job.out, HasSubstr("rank 1: G3 G4 A3.0<0 F3.0 G0 F4.0 F5.0 B5.0 X0 R0 B4.0 X4 R4 B3.0 D3.0>0 X3 R3 T V\n"));
}

TEST(InspectSchedule, NamesTheKeyOfAMistake) {
  const JobResult stages = Inspect("--set parallel.pp=8");
  EXPECT_EQ(stages.exit_code, 2);
  EXPECT_THAT(stages.err, HasSubstr("parallel.pp: the model's 4 blocks make 6 stages at most, not 8"));
  const JobResult ranks = Inspect("--ranks 3 --set parallel.pp=2");
  EXPECT_EQ(ranks.exit_code, 2);
  EXPECT_THAT(ranks.err, HasSubstr("pp 2 * tp 1 does not divide the number of ranks, 3"));
  const JobResult schedule = Inspect("--set parallel.schedule=zigzag");
  EXPECT_EQ(schedule.exit_code, 2);
  EXPECT_THAT(schedule.err, HasSubstr("zero_bubble"));
}

TEST(InspectData, HonoursNoColorOnATerminal) {
  const std::string command = std::string(WEFT_BINARY) + " inspect data " + SmallTokenStore() + " --samples 1";
  const auto on_terminal = [&](const std::string& environment) {
    return RunShell(environment + " script --quiet --return --command '" + command + "' /dev/null < /dev/null");
  };
  const JobResult plain = on_terminal("NO_COLOR=1"), colored = on_terminal("NO_COLOR=");
  EXPECT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_THAT(colored.out, HasSubstr("\x1b[32m"));
  EXPECT_THAT(plain.out, Not(HasSubstr("\x1b[32m")));
  EXPECT_THAT(plain.out, HasSubstr("»"));
}

TEST(InspectParams, TakesAFolderOrAConfigJson) {
  const std::string folder = "tests/golden/mistral/model";
  const JobResult given = RunWeft("inspect params " + folder);
  EXPECT_EQ(given.exit_code, 0) << given.err;
  EXPECT_THAT(given.out, HasSubstr("model.layers.1.self_attn.q_proj.weight"));
  EXPECT_THAT(given.out, testing::EndsWith("\n29344 parameters\n"));
  EXPECT_EQ(RunWeft("inspect params " + folder + "/config.json").out, given.out);
  EXPECT_EQ(RunWeft("inspect params --config " + folder + "/config.json").out, given.out);
  EXPECT_THAT(RunWeft("inspect params configs/tiny.yaml").out, HasSubstr(" parameters\n"));
  EXPECT_EQ(RunWeft("inspect params --memory " + folder + "/config.json").exit_code, 2);
}

TEST(InspectParams, RefusesByNameWhatIsNotBuilt) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const JobResult job = RunWeft("inspect params --config " + std::string(fixtures) + "/configs/hf/DeepSeek-V3.json");
  EXPECT_EQ(job.exit_code, 2);
  EXPECT_THAT(job.err, HasSubstr("model_type 'deepseek_v3' is a mixture of experts, which is not supported yet\n"));
}

TEST(InspectConfig, TakesTheFewestRanksUnlessToldAndNoImpossibleNumber) {
  const JobResult fewest = RunWeft("inspect config configs/quickstart.yaml");
  EXPECT_EQ(fewest.exit_code, 0) << fewest.err;
  EXPECT_EQ(RunWeft("inspect config configs/quickstart.yaml --ranks 1").exit_code, 2);
  EXPECT_EQ(RunWeft("inspect config configs/tiny.yaml --ranks 0").exit_code, 2);
}

}  // namespace
}  // namespace weft
