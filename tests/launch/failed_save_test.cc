// Saves that fail: the run goes on or stops as configured, the same on all ranks, and nothing that was saved is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>
#include <utility>

#include "core/str_cat.h"
#include "tests/equivalence/checkpoint_tensors.h"
#include "tests/launch/run_saves.h"
#include "tests/launch/running_job.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FailedSave : public testing::Test {
 protected:
  std::string Output(const std::string& name) const { return scratch_.path() + "/" + name; }
  static std::string Train(const std::string& output, const std::string& more) {
    return "train configs/tiny.yaml --set scheduler.params.total_num_steps=20 --set checkpoint.every=1 --set threads=1 "
           "--set data.path=" + SmallTokenStore() + " --set output=" + output + " " + more;
  }
  // A folder in which not even root may write.
  std::string OutputWithoutCheckpoints(const std::string& name) const {
    std::filesystem::create_directories(Output(name));
    std::filesystem::create_directory_symlink("/sys/kernel", Output(name) + "/checkpoints");
    return Output(name);
  }
  ScratchFolder scratch_;
};
class FailedSaveOnRanks : public FailedSave, public testing::WithParamInterface<int> {};  // 0: no mpirun

TEST_P(FailedSaveOnRanks, IsAWarningUntilTheLast) {
  const std::string output = OutputWithoutCheckpoints("run");
  const JobResult job = RunWeft(Train(output, "--set steps=3"), GetParam());
  EXPECT_EQ(job.exit_code, 2) << job.err;
  EXPECT_EQ(MetricOf(output, "step"), (std::vector<double>{1, 2, 3}));
  EXPECT_THAT(job.err, AllOf(HasSubstr("step 1 is not saved: "), HasSubstr("step 2 is not saved: "), HasSubstr("step-3.partial")));
  EXPECT_THAT(job.err, Not(HasSubstr("step 3 is not saved")));
}

TEST_P(FailedSaveOnRanks, StopsTheRunWhereThatIsAskedFor) {
  const std::string output = OutputWithoutCheckpoints("run");
  const JobResult job = RunWeft(Train(output, "--set steps=3 --set checkpoint.on_failure=stop"), GetParam());
  EXPECT_EQ(job.exit_code, 2) << job.err;
  EXPECT_EQ(MetricOf(output, "step"), std::vector<double>{1});
  EXPECT_THAT(job.err, HasSubstr("step-1.partial"));
}

INSTANTIATE_TEST_SUITE_P(All, FailedSaveOnRanks, testing::Values(0, 2));

// A limit on the size of files is a disk that is full for this process alone; 512 KiB are too few for a shard.
TEST_F(FailedSave, ForWantOfRoomLosesNothing) {
  ASSERT_EQ(RunWeft(Train(Output("run"), "--set steps=2")).exit_code, 0);
  const JobResult full = RunShell(StrCat("ulimit -f 512; exec ", WEFT_BINARY, " ", Train(Output("run"), "--set steps=4")));
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_THAT(full.err, AllOf(HasSubstr("step 3 is not saved: "), HasSubstr("rank-0.h5"), HasSubstr("File too large")));
  EXPECT_FALSE(std::filesystem::exists(Output("run/checkpoints/step-3.partial")));
  const JobResult resumed = RunWeft(Train(Output("run"), "--set steps=4"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("step-2 after step 2"));
  ASSERT_EQ(RunWeft(Train(Output("whole"), "--set steps=4")).exit_code, 0);
  EXPECT_EQ(MetricOf(Output("run"), "loss"), MetricOf(Output("whole"), "loss"));
}

// A disk becomes full for one rank of two, in the middle of a run that saves while it trains on.
class FailedSaveOfOneRank : public FailedSave {
 protected:
  static std::string TrainBoth(const std::string& output, const std::string& more) {
    return WEFT_BINARY + (" " + Train(output, "--set checkpoint.every=2 --set zero_optimization.stage=1 --set eval.batches=1 ")) + more;
  }
  // Waits for `text` among the messages from position `begin` on; their length by then.
  static size_t AwaitMessage(RunningJob& job, const std::string& text, size_t begin) {
    while (job.IsRunning() && job.Messages().find(text, begin) == std::string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return job.Messages().size();
  }
  // Waits for a first checkpoint; from then on rank 1's files must be smaller than its shard.
  static void FillDisk(RunningJob& job, rlimit* before) {
    AwaitMessage(job, "\nsaved ", 0);
    const int pid = job.ProcessOfRank(1);
    ASSERT_GT(pid, 0) << job.Messages();
    ASSERT_EQ(prlimit(pid, RLIMIT_FSIZE, nullptr, before), 0);
    const rlimit full = {.rlim_cur = 64 << 10, .rlim_max = before->rlim_max};
    ASSERT_EQ(prlimit(pid, RLIMIT_FSIZE, &full, nullptr), 0);
  }
  // The run and one that was never disturbed, both taken to the same step.
  void ExpectNothingIsLost(const std::string& run, int64_t step) const {
    for (const std::string& each : {run, Output("whole")}) {
      const JobResult job = RunningJob(TrainBoth(each, StrCat("--set steps=", step)), 2).Wait(300);
      ASSERT_EQ(job.exit_code, 0) << job.err;
    }
    EXPECT_EQ(MetricOf(run, "loss"), MetricOf(Output("whole"), "loss"));
    EXPECT_TRUE(AreSameBits(ReadCheckpointTensors(run), ReadCheckpointTensors(Output("whole"))));
  }
  static bool HasPartialFolder(const std::string& run) {
    for (const auto& entry : std::filesystem::directory_iterator(run + "/checkpoints")) {
      if (entry.path().extension() == ".partial") return true;
    }
    return false;
  }
};

TEST_F(FailedSaveOfOneRank, IsAWarningWhileTheRunGoesOn) {
  const std::string run = Output("run");
  RunningJob job(TrainBoth(run, "--set steps=100000"), 2);
  rlimit before;
  ASSERT_NO_FATAL_FAILURE(FillDisk(job, &before));
  const size_t failed = AwaitMessage(job, " is not saved: ", 0);
  ASSERT_EQ(prlimit(job.ProcessOfRank(1), RLIMIT_FSIZE, &before, nullptr), 0) << job.Messages();
  AwaitMessage(job, "\nsaved ", failed);
  ASSERT_EQ(RunWeft("stop " + run).exit_code, 0);
  const JobResult result = job.Wait(60);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(" is not saved: "), HasSubstr("rank-1.h5"), HasSubstr("File too large"),
                                HasSubstr("the run goes on"), HasSubstr("as asked")));
  EXPECT_FALSE(HasPartialFolder(run));
  ExpectNothingIsLost(run, NewestStep(run) + 1);
}

TEST_F(FailedSaveOfOneRank, EndsTheRunWhereThatIsAskedFor) {
  const std::string run = Output("run");
  RunningJob job(TrainBoth(run, "--set steps=100000 --set checkpoint.on_failure=stop"), 2);
  rlimit before;
  ASSERT_NO_FATAL_FAILURE(FillDisk(job, &before));
  const JobResult result = job.Wait(60);
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(" is not saved: "), HasSubstr("rank-1.h5"), HasSubstr("File too large")));
  EXPECT_FALSE(HasPartialFolder(run));
  ASSERT_GE(NewestStep(run), 2);
  ExpectNothingIsLost(run, NewestStep(run) + 1);
}

TEST_F(FailedSave, KeepsTheBestCheckpointsBesideTheNewest) {
  // Too high a rate: the loss is least somewhere in the middle.
  const std::string rates = "--set eval.every=1 --set checkpoint.keep=1 --set steps=8 --set optimizer.params.lr=0.2 --set scheduler.params.min_lr=0.1 ";
  ASSERT_EQ(RunWeft(Train(Output("run"), rates + "--set checkpoint.keep_best=2")).exit_code, 0);
  const std::vector<double> losses = MetricOf(Output("run"), "eval_loss");
  ASSERT_EQ(losses.size(), 8u);
  std::vector<std::pair<double, int>> ranking;
  for (int step = 1; step <= 8; ++step) ranking.emplace_back(losses[static_cast<size_t>(step - 1)], step);
  std::sort(ranking.begin(), ranking.end());
  std::set<std::string> expected = {"step-8", StrCat("step-", ranking[0].second), StrCat("step-", ranking[1].second)};
  std::set<std::string> kept;
  for (const auto& entry : std::filesystem::directory_iterator(Output("run/checkpoints"))) kept.insert(entry.path().filename().string());
  EXPECT_EQ(kept, expected);
  const JobResult unevaluated = RunWeft(Train(Output("other"), "--set checkpoint.keep_best=2"));
  EXPECT_EQ(unevaluated.exit_code, 2);
  EXPECT_THAT(unevaluated.err, HasSubstr("checkpoint.keep_best"));
}

}  // namespace
}  // namespace weft
