// kill -9 of random ranks at random moments of a job that is started again and again: each time its processes are gone
// soon, the rank is named, and the newest checkpoint is whole; at the end the weights are those of an undisturbed run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/rng.h"
#include "core/str_cat.h"
#include "tests/equivalence/checkpoint_tensors.h"
#include "tests/launch/run_saves.h"
#include "tests/launch/running_job.h"

namespace weft {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

constexpr int kRanks = 4;
constexpr double kPatienceS = 60;

struct Layout {
  std::string name, settings;
  int num_kills;
};
void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }

enum class Moment { kStart, kStep, kSave };
constexpr std::array<Moment, 4> kMoments = {Moment::kStart, Moment::kSave, Moment::kStep, Moment::kSave};

// From then on mpirun knows which rank a process is.
bool HasStartedMpi(int pid) {
  std::ifstream file(StrCat("/proc/", pid, "/maps"));
  const std::string maps = {std::istreambuf_iterator<char>(file), {}};
  return maps.find("vader_segment") != std::string::npos;
}

int CountOf(const std::string& part, const std::string& text) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Of the last "saved .../step-N" among a job's messages; 0: none.
int64_t LastStepSaid(const std::string& messages) {
  const size_t line = messages.rfind("\nsaved ");
  if (line == std::string::npos) return 0;
  const size_t number = messages.find("step-", line);
  return number == std::string::npos ? 0 : std::atoll(messages.c_str() + number + 5);
}

class Kills : public testing::TestWithParam<Layout> {
 protected:
  std::string Train(const std::string& run, const std::string& more) const {
    return StrCat(WEFT_BINARY, " train configs/tiny.yaml --set threads=1 --set verify_parallel=never --set train_batch_size=4 ",
                  "--set scheduler.params.total_num_steps=10000 --set eval.batches=1 --set checkpoint.keep=2 ",
                  "--set data.path=", SmallTokenStore(), " --set output=", run, " ", GetParam().settings, " ", more);
  }
  template <typename Condition>
  static void WaitUntil(RunningJob& job, const Condition& holds) {
    while (job.IsRunning() && !holds()) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  // Returns at a moment of the wanted kind.
  void Await(Moment moment, uint64_t number, RunningJob& job) const {
    const auto random_us = [&](uint64_t below) { return std::chrono::microseconds(rng_.Below(2 * number, below)); };
    if (moment == Moment::kStart) return std::this_thread::sleep_for(random_us(400'000));
    const int saves = 1 + static_cast<int>(rng_.Below(2 * number, 4));
    WaitUntil(job, [&] { return CountOf("\nsaved ", job.Messages()) >= saves; });  // then nothing old lies about
    if (moment == Moment::kStep) {
      std::this_thread::sleep_for(random_us(100'000));
      return WaitUntil(job, [&] { return !HasUnfinishedSave(run_, std::filesystem::file_time_type::min()); });
    }
    WaitUntil(job, [&] { return HasUnfinishedSave(run_, std::filesystem::file_time_type::min()); });
    std::this_thread::sleep_for(random_us(1500));
  }
  // Starts the job and kills a rank; what must hold afterwards.
  void KillOnce(uint64_t number) {
    const int64_t newest = NewestStep(run_);
    const std::filesystem::file_time_type started = std::filesystem::file_time_type::clock::now();
    const Moment moment = kMoments[number % kMoments.size()];
    // A save at each step is in flight at nearly every moment.
    const std::string every = moment == Moment::kStep ? "4" : "1";
    RunningJob job(Train(run_, "--set steps=1000000 --set checkpoint.every=" + every), kRanks);
    const int rank = static_cast<int>(rng_.Below(2 * number + 1, kRanks));
    const int pid = job.AwaitProcessOfRank(rank);
    ASSERT_GT(pid, 0) << job.Messages();
    Await(moment, number, job);
    const bool is_known_to_mpirun = HasStartedMpi(pid);
    const Clock::time_point killed = Clock::now();
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    while (job.IsRunning() && SecondsSince(killed) < kPatienceS) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (job.IsRunning() && !is_known_to_mpirun) {  // Open MPI 4.1's mpirun may hang by itself, with all ranks gone
      ASSERT_EQ(job.Processes(), std::vector<int>{job.launcher()}) << job.Messages();
      kill(job.launcher(), SIGKILL);
      ++tally_.launchers_hung;
    }
    ASSERT_TRUE(job.IsGoneWithin(kPatienceS + 5, killed)) << job.Messages();
    const JobResult result = job.Wait(5);
    EXPECT_NE(result.exit_code, 0);
    const bool is_named_by_mpirun = result.err.find(StrCat("process rank ", rank, " ")) != std::string::npos;
    const bool is_named_by_watchdog = result.err.find(StrCat("stands still: rank ", rank, " ")) != std::string::npos;
    if (is_known_to_mpirun) {  // else it may say no more than that some process has ended
      EXPECT_TRUE(is_named_by_mpirun || is_named_by_watchdog) << "rank " << rank << ":\n" << result.err;
    }
    EXPECT_GE(NewestStep(run_), std::max(newest, LastStepSaid(result.err))) << "nothing that was saved is lost";
    if (NewestStep(run_) > 0) ReadCheckpointTensors(run_);  // every byte, or the test fails
    tally_.slowest_end_s = std::max(tally_.slowest_end_s, SecondsSince(killed));
    tally_.named_by_mpirun += is_named_by_mpirun ? 1 : 0;
    tally_.named_by_watchdog += is_named_by_watchdog ? 1 : 0;
    const bool is_in_save = HasUnfinishedSave(run_, started);
    tally_.in_start += moment == Moment::kStart && result.err.find("training ") == std::string::npos ? 1 : 0;
    tally_.in_step += moment == Moment::kStep && !is_in_save ? 1 : 0;
    tally_.in_save += moment == Moment::kSave && is_in_save ? 1 : 0;
  }
  struct Tally {
    int in_start = 0, in_step = 0, in_save = 0,  // where they were meant to be
        named_by_mpirun = 0, named_by_watchdog = 0, launchers_hung = 0;
    double slowest_end_s = 0;
  };
  const ScratchFolder scratch_;
  const std::string run_ = scratch_.path() + "/killed", whole_ = scratch_.path() + "/whole";
  const Rng rng_{7, StreamKey(GetParam().name)};
  Tally tally_;
};

TEST_P(Kills, LoseNothing) {
  const int kills = GetParam().num_kills;
  for (int i = 0; i < kills && !HasFatalFailure(); ++i) KillOnce(static_cast<uint64_t>(i));
  if (HasFatalFailure()) return;
  const std::string steps = StrCat("--set steps=", NewestStep(run_) + 2);
  std::printf("%s: %d kills, as meant %d of them before the first step, %d between saves, %d in a save; named by mpirun %d, "
              "by the watchdog %d; gone after %.1f s at most, mpirun hung %d times; %d steps\n",
              GetParam().name.c_str(), kills, tally_.in_start, tally_.in_step, tally_.in_save, tally_.named_by_mpirun,
              tally_.named_by_watchdog, tally_.slowest_end_s, tally_.launchers_hung, static_cast<int>(NewestStep(run_)));
  EXPECT_GE(tally_.in_start, 1);
  EXPECT_GE(tally_.in_step, 1);
  // Half of the moments are meant to lie in saves; those that the ranks wait for are over soon, and often come to an end.
  const bool saves_at_once = GetParam().settings.find("asynchronous=false") != std::string::npos;
  EXPECT_GE(tally_.in_save, saves_at_once ? 0 : 1);
  for (const std::string& run : {run_, whole_}) {
    const JobResult job = RunningJob(Train(run, steps + " --set checkpoint.every=0"), kRanks).Wait(600);
    ASSERT_EQ(job.exit_code, 0) << job.err;
  }
  EXPECT_EQ(MetricOf(run_, "loss"), MetricOf(whole_, "loss"));
  EXPECT_TRUE(AreSameBits(ReadCheckpointTensors(run_), ReadCheckpointTensors(whole_)));
}

INSTANTIATE_TEST_SUITE_P(
    All, Kills,
    testing::Values(Layout{"Dp4", "", 14},
                    Layout{"Tp2Dp2SavedAtOnce", "--set parallel.tp=2 --set checkpoint.asynchronous=false", 13},
                    Layout{"Pp2Dp2Zero3Offloaded",
                           "--set parallel.pp=2 --set zero_optimization.stage=3 --set zero_optimization.offload_optimizer.device=cpu",
                           13}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace weft
