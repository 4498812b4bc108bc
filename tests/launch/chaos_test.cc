// Chaos: a job of four ranks is killed in one way or another again and again, for WEFT_CHAOS_SECONDS (60), while an
// undisturbed one with the same settings runs beside it. Started again each time, it ends with the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "core/str_cat.h"
#include "tests/equivalence/checkpoint_tensors.h"
#include "tests/launch/run_saves.h"
#include "tests/launch/running_job.h"

namespace weft {
namespace {

using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kRanks = 4;
constexpr double kPatienceS = 60;

enum class Victim { kOneRank, kAllRanks, kLauncher };

double Duration() {
  const char* seconds = std::getenv("WEFT_CHAOS_SECONDS");
  return seconds == nullptr ? 60 : std::atof(seconds);
}

class Chaos : public testing::Test {
 protected:
  // Two replicas of two stages, whose shards only fit together if all of them are of one step.
  std::string Train(const std::string& run, const std::string& more) const {
    return StrCat(WEFT_BINARY, " train configs/tiny.yaml --set parallel.pp=2 --set zero_optimization.stage=3 --set threads=1 ",
                  "--set verify_parallel=never --set train_batch_size=4 --set scheduler.params.total_num_steps=100000 ",
                  "--set eval.batches=1 --set checkpoint.every=10 --set checkpoint.keep=2 --set logging.every=100 ",
                  "--set data.path=", SmallTokenStore(), " --set output=", run, " ", more);
  }
  // 0.7, 0.15 and 0.15 of the kills.
  Victim DrawVictim(uint64_t number) const {
    const uint64_t percent = rng_.Below(4 * number, 100);
    return percent < 70 ? Victim::kOneRank : percent < 85 ? Victim::kAllRanks : Victim::kLauncher;
  }
  // The processes to kill; looking for them takes longer than a save.
  std::vector<int> Victims(uint64_t number, RunningJob& job) {
    const Victim victim = DrawVictim(number);
    launchers_killed_ += victim == Victim::kLauncher ? 1 : 0;
    all_killed_ += victim == Victim::kAllRanks ? 1 : 0;
    if (victim == Victim::kLauncher) return {job.launcher()};
    const int one = static_cast<int>(rng_.Below(4 * number + 1, kRanks));
    std::vector<int> victims;
    for (int rank = 0; rank < kRanks; ++rank) {
      const int pid = rank == one || victim == Victim::kAllRanks ? job.AwaitProcessOfRank(rank) : -1;
      if (pid > 0) victims.push_back(pid);
    }
    return victims;
  }
  // One start: runs for half to one and a half `interval_s`, or on to the next save, is struck, and leaves nothing behind
  // but a sound folder.
  void StartAndStrike(uint64_t number, double interval_s) {
    const int64_t newest = NewestStep(run_);
    const std::filesystem::file_time_type started = std::filesystem::file_time_type::clock::now();
    const std::string saving = number % 2 == 0 ? "true" : "false";
    RunningJob job(Train(run_, "--set steps=1000000 --set checkpoint.asynchronous=" + saving), kRanks);
    const double life_s = interval_s * (0.5 + static_cast<double>(rng_.Below(4 * number + 2, 1000)) / 1000);
    while (job.IsRunning() && job.age_s() < life_s) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::vector<int> victims = Victims(number, job);
    const bool waits_for_save = number % 4 != 3;  // such moments are the worst
    while (waits_for_save && job.IsRunning() && job.age_s() < life_s + interval_s && !HasUnfinishedSave(run_, started)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(job.IsRunning()) << "it ended by itself:\n" << job.Messages();
    const Clock::time_point struck = Clock::now();
    for (const int pid : victims) kill(pid, SIGKILL);
    const JobResult result = job.Wait(kPatienceS);
    ASSERT_TRUE(job.IsGoneWithin(kPatienceS, struck)) << result.err;
    EXPECT_NE(result.exit_code, 0);
    if (newest > 0 && result.err.find("training ") != std::string::npos) {
      EXPECT_THAT(result.err, HasSubstr(StrCat("/step-", newest, " after step ", newest)));
    }
    EXPECT_GE(NewestStep(run_), newest) << "nothing that was saved is lost";
    slowest_end_s_ = std::max(slowest_end_s_, SecondsSince(struck));
    saves_cut_short_ += waits_for_save && HasUnfinishedSave(run_, started) ? 1 : 0;
  }
  const ScratchFolder scratch_;
  const std::string run_ = scratch_.path() + "/struck", whole_ = scratch_.path() + "/whole";
  const Rng rng_{11, StreamKey("chaos")};
  int launchers_killed_ = 0, all_killed_ = 0, saves_cut_short_ = 0;
  double slowest_end_s_ = 0;
};

TEST_F(Chaos, EndsAsAnUndisturbedRunDoes) {
  const double duration_s = Duration(), interval_s = std::clamp(duration_s / 10, 4.0, 30.0);
  RunningJob undisturbed(Train(whole_, "--set steps=1000000"), kRanks);
  const Clock::time_point start = Clock::now();
  uint64_t kills = 0;
  while (SecondsSince(start) < duration_s && !HasFatalFailure()) StartAndStrike(kills++, interval_s);
  if (HasFatalFailure()) return;
  const int64_t newest = NewestStep(run_);
  ASSERT_EQ(RunWeft("stop " + whole_).exit_code, 0);
  const JobResult stopped = undisturbed.Wait(kPatienceS);
  ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
  std::printf("%.0f s: %d kills and restarts (%d of mpirun, %d of all ranks), %d saves cut short, gone after %.1f s at most; "
              "%d steps, %d of the undisturbed run\n",
              SecondsSince(start), static_cast<int>(kills), launchers_killed_, all_killed_, saves_cut_short_, slowest_end_s_,
              static_cast<int>(newest), static_cast<int>(NewestStep(whole_)));
  EXPECT_GT(saves_cut_short_, 0) << "most kills are meant to meet a save in flight";
  EXPECT_GT(newest, 0) << "no step was saved: is the machine too slow for kills so frequent?";
  const int64_t steps = std::max(newest, NewestStep(whole_));
  for (const std::string& run : {run_, whole_}) {  // whichever is behind goes on to the step of the other
    const JobResult job = RunningJob(Train(run, StrCat("--set steps=", steps)), kRanks).Wait(2 * duration_s + 600);
    ASSERT_EQ(job.exit_code, 0) << job.err;
  }
  EXPECT_EQ(MetricOf(run_, "loss"), MetricOf(whole_, "loss"));
  EXPECT_TRUE(AreSameBits(ReadCheckpointTensors(run_), ReadCheckpointTensors(whole_))) << "weights and both moments";
}

}  // namespace
}  // namespace weft
