// Stop requests at random moments, of steps, evaluations and saves that are still being written: the run ends in order
// every time, and what it goes on to is what it would have been.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/rng.h"
#include "core/str_cat.h"
#include "tests/launch/job.h"
#include "trainer/stop_request.h"

namespace weft {
namespace {

using testing::HasSubstr;

struct Way {
  std::string name;
  int ranks;         // 0: no mpirun
  std::string stop;  // shell; $job is the process, $run the folder
  std::string settings = "";
  bool saves = false;  // in passing, so that some of the stops meet a save in flight
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class StopRequests : public testing::TestWithParam<Way> {
 protected:
  std::string Train(const std::string& run, const std::string& more) const {
    return "train configs/tiny.yaml --set data.path=" + SmallTokenStore() + " --set output=" + run +
           " --set scheduler.params.total_num_steps=1000 --set logging.every=50 " +
           (GetParam().saves ? "" : "--set checkpoint.every=0 ") + GetParam().settings + " " + more;
  }
  // Starts the run, asks it to stop `delay` after its first sign of life (where it saves, its first save), and waits for
  // it. Stdout has the saves that were in flight just before.
  JobResult StartAndStop(const std::string& run, double delay) const {
    const std::string mpirun = GetParam().ranks > 0 ? StrCat("mpirun -n ", GetParam().ranks, " --bind-to none ") : "";
    const std::string sign =
        GetParam().saves ? StrCat("ls -d ", run, "/checkpoints/*.partial") : StrCat("grep '^training ' ", run, ".log");
    return RunShell(StrCat(". launch/environment.sh; run=", run, "; rm -f ", run, ".log; ", mpirun, WEFT_BINARY, " ",
                           Train(run, "--set steps=100000"), " 2>", run, ".log & job=$!; ",
                           "until ", sign, " >/dev/null 2>&1 || ! kill -0 $job; do sleep 0.01; done; sleep ",
                           delay, "; ls -d ", run, "/checkpoints/*.partial 2>/dev/null; ", GetParam().stop, "; wait $job; code=$?; cat ", run, ".log >&2; exit $code"));
  }
  ScratchFolder scratch_;
};

TEST_P(StopRequests, EndInOrderAndLoseNothing) {
  const std::string stopped = scratch_.path() + "/stopped", whole = scratch_.path() + "/whole";
  const Rng rng(5, StreamKey(GetParam().name));
  int saves_in_flight = 0;
  for (uint64_t i = 0; i < 10; ++i) {
    const JobResult job = StartAndStop(stopped, static_cast<double>(rng.Below(i, 400)) / 1000);
    ASSERT_EQ(job.exit_code, 0) << job.err;
    ASSERT_THAT(job.err, HasSubstr("as asked"));
    ASSERT_FALSE(std::filesystem::exists(stopped + "/stop"));
    EXPECT_EQ(RunShell("ls -d " + stopped + "/checkpoints/*.partial").out, "") << "the save in flight is completed";
    saves_in_flight += job.out.find(".partial") != std::string::npos ? 1 : 0;
  }
  std::printf("%d stops met a save in flight\n", saves_in_flight);
  EXPECT_EQ(saves_in_flight > 0, GetParam().saves);
  const size_t steps = MetricOf(stopped, "loss").size() + 2;
  ASSERT_GE(steps, 12u) << "a step each time";
  for (const std::string& run : {stopped, whole}) {
    const JobResult job = RunWeft(Train(run, StrCat("--set steps=", steps)), GetParam().ranks);
    ASSERT_EQ(job.exit_code, 0) << job.err;
    ASSERT_EQ(RunWeft("export " + run + " --to " + run + ".model").exit_code, 0);
  }
  EXPECT_EQ(MetricOf(stopped, "loss"), MetricOf(whole, "loss"));
  EXPECT_EQ(MetricOf(stopped, "eval_loss"), MetricOf(whole, "eval_loss"));
  EXPECT_EQ(RunShell("cmp " + stopped + ".model/model.safetensors " + whole + ".model/model.safetensors").exit_code, 0);
}

const std::string kStopVerb = std::string(WEFT_BINARY) + " stop $run";
const std::string kNoEvaluations = "--set eval.every=0 --set eval.batches=1";
// The whole split after every step: most of the time goes by there, with the save of the step before in flight.
const std::string kEvaluations = "--set eval.every=1 --set checkpoint.every=1";

INSTANTIATE_TEST_SUITE_P(
    All, StopRequests,
    testing::Values(Way{"Terminate", 0, "kill -TERM $job", kNoEvaluations + " --set checkpoint.every=2", true},
                    Way{"Interrupt", 0, "kill -INT $job", kNoEvaluations}, Way{"ByFileOnTwoRanks", 2, kStopVerb, kNoEvaluations},
                    Way{"UserSignalToMpirun", 2, "kill -USR1 $job", kNoEvaluations + " --set checkpoint.every=1", true},
                    Way{"InEvaluationsOnTwoRanks", 2, kStopVerb, kEvaluations, true}),
    [](const auto& info) { return info.param.name; });

TEST(StopVerb, RefusesWhatIsNoRun) {
  const JobResult job = RunWeft("stop docs");
  EXPECT_EQ(job.exit_code, 2);
  EXPECT_THAT(job.err, HasSubstr("docs is not the folder of a run"));
}

// As after Ctrl-C of `weft train ... | tee log`, which ends tee first.
TEST(Stop, SavesThoughNobodyReadsItsLines) {
  const ScratchFolder scratch;
  const std::string run = scratch.path() + "/run";
  const JobResult job = RunShell(StrCat("(", WEFT_BINARY, " train configs/tiny.yaml --set data.path=", SmallTokenStore(), " --set output=", run,
                                        " --set steps=100000 --set checkpoint.every=0; echo $? >", scratch.path(), "/code) 2>&1 | (grep -m 1 '^step '; ",
                                        WEFT_BINARY, " stop ", run, "); exit $(cat ", scratch.path(), "/code)"));
  EXPECT_EQ(job.exit_code, 0) << job.out;
  EXPECT_EQ(RunWeft("inspect checkpoint " + run).exit_code, 0);
}

TEST(Stop, IsWhatAConnectionThatDropsAsksForUnlessNohupIsThere) {
  const ScratchFolder scratch;
  for (const bool is_nohup : {false, true}) {  // whatever the test's own parent has done about the signal
    const std::string run = scratch.path() + (is_nohup ? "/nohup" : "/run"), start = is_nohup ? "nohup " : "env --default-signal=HUP ";
    const JobResult job = RunShell(StrCat(start, WEFT_BINARY, " train configs/tiny.yaml --set data.path=", SmallTokenStore(), " --set output=", run,
                                          " --set steps=", is_nohup ? 100 : 100000, " --set checkpoint.every=0 & until [ -s ", run,
                                          "/metrics.jsonl ]; do sleep 0.01; done; kill -HUP $!; wait $!"));
    EXPECT_EQ(job.exit_code, 0) << job.err;
    EXPECT_EQ(job.err.find("as asked") == std::string::npos, is_nohup) << job.err;
  }
}

// One that comes while the run is still starting is obeyed; one that was left from before is not.
TEST(Stop, ObeysWhatCameSinceTheStartAlone) {
  const ScratchFolder scratch;
  const std::string file = scratch.path() + "/stop";
  std::ofstream(scratch.path() + "/config.yaml") << "output: run\n";
  ASSERT_TRUE(StopRequest::Ask(scratch.path()).ok());
  StopRequest first(scratch.path(), nullptr, /*watches_folder=*/true);
  first.ClearOld();
  EXPECT_FALSE(std::filesystem::exists(file));
  ASSERT_TRUE(StopRequest::Ask(scratch.path()).ok());
  StopRequest second(scratch.path(), nullptr, /*watches_folder=*/true);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // more than the clock of files ticks by
  ASSERT_TRUE(StopRequest::Ask(scratch.path()).ok());
  second.ClearOld();
  EXPECT_TRUE(second.Asked());
}

}  // namespace
}  // namespace weft
