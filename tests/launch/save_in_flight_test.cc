// What becomes of a save that is still being written when the job is killed or asked to stop. The model is wide, so that
// its save takes longer than its steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/str_cat.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::HasSubstr;

class SaveInFlight : public testing::TestWithParam<int> {  // ranks; 0: no mpirun
 protected:
  std::string Output(const std::string& name) const { return scratch_.path() + "/" + name; }
  static std::string Train(const std::string& output) {
    return "train configs/tiny.yaml --set steps=8 --set checkpoint.every=2 --set checkpoint.keep=0 --set threads=1 "
           "--set model.vocab_size=60000 --set train_batch_size=2 --set train_micro_batch_size_per_gpu=1 --set eval.batches=1 "
           "--set verify_parallel=never --set data.path=" + SmallTokenStore() + " --set output=" + output;
  }
  // Does `act` to $job as soon as the shards of step 4 are begun.
  static JobResult RunUntilStep4IsBeingSaved(const std::string& output, const std::string& act) {
    const std::string mpirun = GetParam() > 0 ? StrCat("mpirun -n ", GetParam(), " --bind-to none ") : "";
    return RunShell(StrCat(". launch/environment.sh; run=", output, "; ", mpirun, WEFT_BINARY, " ", Train(output), " & job=$!; ",
                           "until [ -e ", output, "/checkpoints/step-4.partial/rank-0.h5 ] || ! kill -0 $job 2>/dev/null; do sleep 0.002; done; ",
                           act, "; wait $job"));
  }
  // Trains on to the end and expects what an undisturbed run has.
  void ExpectNothingIsLost(const std::string& run) const {
    for (const std::string& each : {run, Output("whole")}) {
      const JobResult job = RunWeft(Train(each), GetParam());
      ASSERT_EQ(job.exit_code, 0) << job.err;
      ASSERT_EQ(RunWeft("export " + each + " --to " + each + ".model").exit_code, 0);
    }
    EXPECT_EQ(MetricOf(run, "loss"), MetricOf(Output("whole"), "loss"));
    EXPECT_EQ(RunShell("cmp " + run + ".model/model.safetensors " + Output("whole") + ".model/model.safetensors").exit_code, 0);
  }
  ScratchFolder scratch_;
};

TEST_P(SaveInFlight, LeavesOnlyAPartialFolderWhenTheJobIsKilled) {
  const std::string kill = GetParam() > 0 ? "pkill -KILL -P $job" : "kill -KILL $job";
  bool was_in_flight = false;
  for (int attempt = 0; attempt < 5 && !was_in_flight; ++attempt) {
    std::filesystem::remove_all(Output("run"));
    RunUntilStep4IsBeingSaved(Output("run"), kill);
    was_in_flight = std::filesystem::exists(Output("run/checkpoints/step-4.partial"));
  }
  ASSERT_TRUE(was_in_flight);
  EXPECT_FALSE(std::filesystem::exists(Output("run/checkpoints/step-4")));
  EXPECT_THAT(RunWeft("inspect checkpoint " + Output("run")).out, HasSubstr("step-2: step 2, "));
  ExpectNothingIsLost(Output("run"));
  EXPECT_FALSE(std::filesystem::exists(Output("run/checkpoints/step-4.partial")));
}

TEST_P(SaveInFlight, IsCompletedBeforeTheSaveOfAStop) {
  const std::string ask = GetParam() > 0 ? "kill -USR1 $job" : "kill -TERM $job";
  JobResult stopped;
  bool was_asked_in_time = false;  // a fast machine may have done all steps first
  for (int attempt = 0; attempt < 5 && !was_asked_in_time; ++attempt) {
    std::filesystem::remove_all(Output("run"));
    stopped = RunUntilStep4IsBeingSaved(Output("run"), ask);
    ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
    was_asked_in_time = stopped.err.find("as asked") != std::string::npos;
  }
  ASSERT_TRUE(was_asked_in_time) << stopped.err;
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints/step-4/complete")));
  ExpectNothingIsLost(Output("run"));
}

INSTANTIATE_TEST_SUITE_P(All, SaveInFlight, testing::Values(0, 2));

}  // namespace
}  // namespace weft
