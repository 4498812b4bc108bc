// Jobs that stand still: each ends within its time, names the rank that is to blame, and leaves no process behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/launch/running_job.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kStalled = 75;
constexpr double kPatienceS = 60;  // from the fault to the end of the last process

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class WatchdogJob : public testing::Test {
 protected:
  std::string Output() const { return scratch_.path() + "/run"; }
  std::string Settings(const std::string& prefix) const {
    std::string text;
    for (const std::string& setting :
         {std::string("device=cpu"), "data.path=" + SmallTokenStore(), "output=" + Output(),
          std::string("watchdog.timeout=3"), std::string("threads=1"), std::string("train_batch_size=6")}) {
      text += " " + prefix + setting;
    }
    return text;
  }
  std::string Train(const std::string& more) const {
    return WEFT_BINARY + (" train configs/tiny.yaml --set steps=100000" + Settings("--set ")) + " " + more;
  }
  // The faults are for the run itself, not for the check of its layout.
  std::string Faulty(const std::string& fault) const {
    return WEFT_FAULTY_TRAIN + (" " + fault + Settings("")) + " verify_parallel=never";
  }
  bool WaitForSteps(RunningJob& job, size_t steps) const {
    while (job.IsRunning()) {
      if (std::filesystem::exists(Output() + "/metrics.jsonl") && MetricOf(Output(), "step").size() >= steps)
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  // Waits for a job that must end by itself, and in time.
  static JobResult EndOf(RunningJob& job, Clock::time_point fault) {
    const JobResult result = job.Wait(kPatienceS);
    EXPECT_TRUE(job.IsGoneWithin(kPatienceS, fault)) << result.err;
    return result;
  }
  JobResult RunFaulty(const std::string& fault, int ranks) const {
    const Clock::time_point start = Clock::now();
    RunningJob job(Faulty(fault), ranks);
    return EndOf(job, start);
  }
  ScratchFolder scratch_;
};

TEST_F(WatchdogJob, NamesAStoppedProcess) {
  for (const int rank : {0, 2}) {
    std::filesystem::remove_all(Output());
    RunningJob job(Train("--set checkpoint.every=0"), 3);
    ASSERT_TRUE(WaitForSteps(job, 2));
    const Clock::time_point stopped = Clock::now();
    ASSERT_EQ(kill(job.AwaitProcessOfRank(rank), SIGSTOP), 0);
    const JobResult result = EndOf(job, stopped);
    EXPECT_EQ(result.exit_code, kStalled) << result.err;
    const std::string name = "the job stands still: rank " + std::to_string(rank) + " on host ";
    EXPECT_THAT(result.err, AllOf(HasSubstr(name), HasSubstr("does not answer"), HasSubstr("in step ")));
    EXPECT_EQ(result.err.find("stands still"), result.err.rfind("stands still")) << "one sentence: " << result.err;
    EXPECT_THAT(Slurp(Output() + "/stall.txt"), AllOf(HasSubstr("does not answer"), HasSubstr("\nrank 1 on host")));
  }
}

// What hangs may be the file system of the run's folder: here a file that cannot be opened for writing until somebody reads it.
TEST_F(WatchdogJob, EndsThoughItsOwnReportHangs) {
  std::filesystem::create_directories(Output());
  ASSERT_EQ(mkfifo((Output() + "/stall.txt.tmp").c_str(), 0600), 0);
  RunningJob job(Train("--set checkpoint.every=0"), 3);
  ASSERT_TRUE(WaitForSteps(job, 2));
  const Clock::time_point stopped = Clock::now();
  ASSERT_EQ(kill(job.AwaitProcessOfRank(1), SIGSTOP), 0);
  const JobResult result = EndOf(job, stopped);
  EXPECT_EQ(result.exit_code, kStalled) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("the job stands still: rank 1 on host "), HasSubstr("stall.txt takes too long to write")));
}

TEST_F(WatchdogJob, GoesOnAfterAShortStop) {
  RunningJob job(Train("--set steps=40"), 2);
  ASSERT_TRUE(WaitForSteps(job, 2));
  const int pid = job.ProcessOfRank(1);
  if (pid > 0) {  // else it is through already
    kill(pid, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    kill(pid, SIGCONT);
  }
  const JobResult result = job.Wait(300);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(WatchdogJob, NamesARankThatLeavesOutACollective) {
  const JobResult result = RunFaulty("skip", 3);
  EXPECT_NE(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the job stands still: rank 1 on host "));
  EXPECT_THAT(result.err, AnyOf(HasSubstr("has left out a collective of dp"),
                                HasSubstr("has made another call than the others of dp")));
}

// MPI fails in a small collective of different sizes, and knows nothing of a large one's.
TEST_F(WatchdogJob, NamesARankWhoseCollectiveIsOfAnotherSize) {
  const JobResult small = RunFaulty("small_size", 3);
  EXPECT_NE(small.exit_code, 0) << small.err;
  EXPECT_THAT(small.err, AllOf(HasSubstr("the job stands still: rank 1 on host "),
                               HasSubstr("has made another call than the others of dp: its call ")));
  std::filesystem::remove_all(Output());
  const JobResult large = RunFaulty("size", 3);
  EXPECT_NE(large.exit_code, 0) << large.err;
  EXPECT_THAT(large.err, HasSubstr("rank 1 has made other collectives than the others of dp by step 3"));
}

TEST_F(WatchdogJob, NamesARankThatStopsComputing) {
  const JobResult result = RunFaulty("hang", 3);
  EXPECT_EQ(result.exit_code, kStalled) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("the job stands still: rank 1 on host "), HasSubstr("does not come forward in step "),
                    HasSubstr("reducing the gradients of "), HasSubstr("2 other ranks wait for it")));
}

TEST_F(WatchdogJob, NamesARankWithAnExceptionThatNobodyCatches) {
  const JobResult result = RunFaulty("throw", 3);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("bad_alloc"), HasSubstr("the job stands still: rank 1 on host "),
                                HasSubstr("has failed (its message is above) in step ")));
}

TEST_F(WatchdogJob, NamesARankThatRunsOutOfMemory) {
  const JobResult result = RunFaulty("memory", 3);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, AnyOf(HasSubstr("the job stands still: rank 1 on host "), HasSubstr("process rank 1 ")))
      << "the watchdog, or mpirun where the rank has no memory left for a last word";
}

TEST_F(WatchdogJob, LeavesASoundJobAlone) {
  const JobResult result = RunFaulty("none", 3);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, testing::Not(HasSubstr("stands still")));
}

}  // namespace
}  // namespace weft
