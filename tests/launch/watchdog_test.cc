// Jobs that stand still: each ends within its time, names the rank that is to blame, and leaves no process behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "tests/launch/job.h"

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

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The processes whose command line holds all of `words`, by id.
std::vector<int> Processes(const std::vector<std::string>& words) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = Slurp("/proc/" + name + "/cmdline");
    bool has_all = !line.empty();
    for (const std::string& word : words) has_all &= line.find(word) != std::string::npos;
    if (has_all) found.push_back(std::stoi(name));
  }
  return found;
}

// The process of `rank` among those that run `binary` with `output`; -1: none.
int ProcessOfRank(const std::string& binary, const std::string& output, int rank) {
  for (const int pid : Processes({output})) {
    const std::string start = Slurp("/proc/" + std::to_string(pid) + "/cmdline");
    const bool is_rank = start.substr(0, start.find('\0')).ends_with(binary);
    const std::string mark = std::string("OMPI_COMM_WORLD_RANK=") + std::to_string(rank) + '\0';
    if (is_rank && Slurp("/proc/" + std::to_string(pid) + "/environ").find(mark) != std::string::npos) return pid;
  }
  return -1;
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
  JobResult RunFaulty(const std::string& fault, int ranks) const {
    return RunShell(". launch/environment.sh; mpirun -n " + std::to_string(ranks) + " --bind-to none " +
                    WEFT_FAULTY_TRAIN + " " + fault + Settings("") + " verify_parallel=never");  // the faults are for the run itself
  }
  bool WaitForSteps(size_t steps) const {
    const Clock::time_point start = Clock::now();
    while (SecondsSince(start) < 120) {
      if (std::filesystem::exists(Output() + "/metrics.jsonl") && MetricOf(Output(), "step").size() >= steps)
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  void ExpectNobodyLeft() const { EXPECT_THAT(Processes({Output()}), testing::IsEmpty()); }
  ScratchFolder scratch_;
};

TEST_F(WatchdogJob, NamesAStoppedProcess) {
  for (const int rank : {0, 2}) {
    std::filesystem::remove_all(Output());
    std::future<JobResult> job = std::async(std::launch::async, [&] {
      return RunWeft("train configs/tiny.yaml --set steps=100000 --set checkpoint.every=0" + Settings("--set "), 3);
    });
    ASSERT_TRUE(WaitForSteps(2));
    const int pid = ProcessOfRank("weft", Output(), rank);
    ASSERT_GT(pid, 0);
    const Clock::time_point stopped = Clock::now();
    ASSERT_EQ(kill(pid, SIGSTOP), 0);
    const JobResult result = job.get();
    EXPECT_LT(SecondsSince(stopped), kPatienceS);
    EXPECT_EQ(result.exit_code, kStalled) << result.err;
    const std::string name = "the job stands still: rank " + std::to_string(rank) + " on host ";
    EXPECT_THAT(result.err, AllOf(HasSubstr(name), HasSubstr("does not answer"), HasSubstr("in step ")));
    EXPECT_EQ(result.err.find("stands still"), result.err.rfind("stands still")) << "one sentence: " << result.err;
    EXPECT_THAT(Slurp(Output() + "/stall.txt"), AllOf(HasSubstr("does not answer"), HasSubstr("\nrank 1 on host")));
    ExpectNobodyLeft();
  }
}

TEST_F(WatchdogJob, IsOverWhereAProcessIsKilled) {
  std::future<JobResult> job = std::async(std::launch::async, [&] {
    return RunWeft("train configs/tiny.yaml --set steps=100000" + Settings("--set "), 3);
  });
  ASSERT_TRUE(WaitForSteps(2));
  const int pid = ProcessOfRank("weft", Output(), 1);
  ASSERT_GT(pid, 0);
  const Clock::time_point killed = Clock::now();
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  const JobResult result = job.get();
  EXPECT_LT(SecondsSince(killed), kPatienceS);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, AnyOf(HasSubstr("process rank 1 "), HasSubstr("rank 1 on host ")))
      << "mpirun, or the watchdog";
  ExpectNobodyLeft();
}

TEST_F(WatchdogJob, GoesOnAfterAShortStop) {
  std::future<JobResult> job = std::async(
      std::launch::async, [&] { return RunWeft("train configs/tiny.yaml --set steps=40" + Settings("--set "), 2); });
  ASSERT_TRUE(WaitForSteps(2));
  const int pid = ProcessOfRank("weft", Output(), 1);
  if (pid > 0) {  // else it is through already
    kill(pid, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    kill(pid, SIGCONT);
  }
  const JobResult result = job.get();
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(WatchdogJob, NamesARankThatLeavesOutACollective) {
  const Clock::time_point start = Clock::now();
  const JobResult result = RunFaulty("skip", 3);
  EXPECT_LT(SecondsSince(start), kPatienceS);
  EXPECT_NE(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the job stands still: rank 1 on host "));
  EXPECT_THAT(result.err, AnyOf(HasSubstr("has left out a collective of dp"),
                                HasSubstr("has made another call than the others of dp")));
  ExpectNobodyLeft();
}

TEST_F(WatchdogJob, NamesARankThatStopsComputing) {
  const Clock::time_point start = Clock::now();
  const JobResult result = RunFaulty("hang", 3);
  EXPECT_LT(SecondsSince(start), kPatienceS);
  EXPECT_EQ(result.exit_code, kStalled) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("the job stands still: rank 1 on host "), HasSubstr("does not come forward in step "),
                    HasSubstr("reducing the gradients of "), HasSubstr("2 other ranks wait for it")));
  ExpectNobodyLeft();
}

TEST_F(WatchdogJob, NamesARankThatRunsOutOfMemory) {
  const Clock::time_point start = Clock::now();
  const JobResult result = RunFaulty("throw", 3);
  EXPECT_LT(SecondsSince(start), kPatienceS);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("bad_alloc"), HasSubstr("the job stands still: rank 1 on host "),
                                HasSubstr("has failed (its message is above) in step ")));
  ExpectNobodyLeft();
}

TEST_F(WatchdogJob, LeavesASoundJobAlone) {
  const JobResult result = RunFaulty("none", 3);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, testing::Not(HasSubstr("stands still")));
}

}  // namespace
}  // namespace weft
