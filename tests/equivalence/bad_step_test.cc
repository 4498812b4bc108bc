// Runs that meet bad steps against runs whose data never had them: skipping and rolling back must leave no trace, bit for
// bit, alone and with everything shared out, and across interruptions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <limits>
#include <memory>

#include "parallel/rank_record.h"
#include "parallel/thread_communicator.h"
#include "tests/equivalence/checkpoint_tensors.h"
#include "tests/equivalence/composition.h"
#include "tests/equivalence/spiked_corpus.h"
#include "tests/equivalence/uneven_run.h"
#include "tests/parallel/faulty_communicator.h"
#include "trainer/trainer.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Keys = std::vector<std::string>;

constexpr int32_t kVocabSize = 80;  // of UnevenRun's model

// A loss a quarter above the median of three: an outlier to these runs from the fifth step on.
const Keys kSkip = {"bad_step.action=skip", "bad_step.spike_factor=1.25", "bad_step.window=3"};
const Keys kRollBack = {"bad_step.action=roll_back", "bad_step.spike_factor=1.25", "bad_step.window=3",
                        "checkpoint.every=100"};  // none before the end, unless a test says otherwise

const Composition kAlone = OneRank("llama", false);
const Composition kReplicas = {.mesh = {.dp = 2}, .zero_stage = 2};
const Composition kWholeGradients = {.mesh = {.dp = 2}};
const Composition kAll = {.mesh = {.pp = 2, .dp = 2, .tp = 2}, .zero_stage = 3, .offload = true, .accumulation = 4};

struct Outcome {
  std::string error;                                  // of rank 0
  std::vector<double> steps, losses;                  // in metrics.jsonl
  std::vector<int64_t> skipped;                       // steps, there
  std::map<std::string, std::vector<float>> tensors;  // weights and moments of the last checkpoint
  int64_t samples = 0;                                // of the last checkpoint
};

// Equal in everything a run leaves behind.
void ExpectSameEnd(const Outcome& run, const Outcome& undisturbed) {
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(undisturbed.error, "");
  ASSERT_FALSE(undisturbed.tensors.empty());
  EXPECT_TRUE(run.tensors == undisturbed.tensors) << "weights or moments differ";
}

class BadStep : public testing::Test {
 protected:
  Keys KeysOf(const std::string& name, const std::vector<int>& batches, int steps, const Keys& more) const {
    Keys keys = {"output=" + run_.Path(name), StrCat("steps=", steps), "train_batch_size=8", "data.path=" + run_.Path(name + ".h5"),
                 "scheduler.type=constant", "scheduler.params={}", "optimizer.params.lr=0.01", "checkpoint.keep=0"};
    keys.insert(keys.end(), more.begin(), more.end());
    WriteSpikedCorpus(run_.Path(name + ".h5"), run_.ConfigOf(kAlone, keys), kVocabSize, batches);
    return keys;
  }
  // Trains, or goes on with, the run of that name up to step `steps`.
  Outcome Train(const std::string& name, const Composition& composition, const std::vector<int>& batches, int steps,
                const Keys& more = {}, const std::vector<Fault>& faults = {}) const {
    const RunConfig config = run_.ConfigOf(composition, KeysOf(name, batches, steps, more));
    std::string error;
    RunThreadRanks(composition.mesh.size(), [&](Communicator& inner) {
      FaultyCommunicator world(inner, faults);
      const auto trainer = Trainer::Create(config, {.world = world, .device = Device::Cpu(), .asynchronous_streams = true});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      const Status status = (*trainer)->Run();
      if (world.rank() == 0) error = std::string(status.message());
    });
    Outcome outcome = {.error = error, .steps = MetricOf(Path(name), "step"), .losses = MetricOf(Path(name), "loss")};
    const StatusOr<std::vector<StepMetrics>> metrics = ReadMetrics(Path(name) + "/metrics.jsonl");
    for (const StepMetrics& step : *metrics) {
      if (step.skipped) outcome.skipped.push_back(step.step);
    }
    if (!error.empty()) return outcome;
    outcome.tensors = ReadCheckpointTensors(Path(name));
    outcome.samples = InfoOf(name).samples;
    return outcome;
  }
  CheckpointInfo InfoOf(const std::string& name) const {
    const StatusOr<std::string> checkpoint = FindCheckpoint(Path(name));
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    const StatusOr<CheckpointInfo> info = ReadCheckpointInfo(*checkpoint);
    EXPECT_TRUE(info.ok()) << info.status();
    return *info;
  }
  std::string Path(const std::string& name) const { return run_.Path(name); }

  const UnevenRun run_;
};

class BadStepIn : public BadStep, public testing::WithParamInterface<Composition> {};
INSTANTIATE_TEST_SUITE_P(Layouts, BadStepIn, testing::Values(kAlone, kReplicas, kAll),
                         [](const auto& info) { return info.param.Name(); });

TEST_P(BadStepIn, SkippedLeavesNoTrace) {
  const std::vector<int> disturbed = {1, 2, 3, 4, kOutlier, 5, 6};
  const Outcome never = Train("never", GetParam(), {1, 2, 3, 4, 5, 6}, 6);
  const Outcome skipped = Train("skipped", GetParam(), disturbed, 7, [] {
    Keys keys = kSkip;
    keys.push_back("checkpoint.every=1");
    return keys;
  }());
  ExpectSameEnd(skipped, never);
  EXPECT_TRUE(ReadCheckpointTensors(Path("skipped") + "/checkpoints/step-4") ==
              ReadCheckpointTensors(Path("skipped") + "/checkpoints/step-5"))
      << "the step changed something";
  EXPECT_EQ(skipped.skipped, std::vector<int64_t>{5});
  std::vector<double> losses = skipped.losses;
  ASSERT_EQ(losses.size(), 7u) << "it counts as a step";
  EXPECT_GT(losses[4], 1.25 * losses[3]);
  losses.erase(losses.begin() + 4);
  EXPECT_EQ(losses, never.losses);
  // What the test is about makes a difference.
  const Outcome trained_on = Train("trained_on", GetParam(), disturbed, 7);
  EXPECT_FALSE(trained_on.tensors == never.tensors);
}

// The judgement needs the losses before the interruption, and the optimizer the number of updates.
TEST_P(BadStepIn, SkipsTheSameAfterAnInterruption) {
  const std::vector<int> batches = {1, 2, 3, 4, kOutlier, 5, 6};
  const Outcome whole = Train("whole", GetParam(), batches, 7, kSkip);
  ASSERT_EQ(whole.error, "");
  ASSERT_EQ(whole.skipped, std::vector<int64_t>{5});
  for (const int cut : {4, 5}) {
    const std::string name = StrCat("cut", cut);
    Train(name, GetParam(), batches, cut, kSkip);
    const Outcome resumed = Train(name, GetParam(), batches, 7, kSkip);
    ExpectSameEnd(resumed, whole);
    EXPECT_EQ(resumed.losses, whole.losses);
    EXPECT_EQ(resumed.skipped, whole.skipped);
  }
}

TEST_P(BadStepIn, RolledBackIsAsIfTheDataHadNeverBeen) {
  Keys keys = kRollBack;
  keys.push_back("checkpoint.every=2");
  // Step 6 is bad the first time; back to step 4. Then step 7 is; back to step 6.
  const std::vector<int> batches = {1, 2, 3, 4, 5, kOutlier, 7, 8, kOutlier, 10, 11};
  const Outcome never = Train("never", GetParam(), {1, 2, 3, 4, 7, 8, 10, 11}, 8);
  const Outcome rolled_back = Train("rolled_back", GetParam(), batches, 8, keys);
  ExpectSameEnd(rolled_back, never);
  EXPECT_EQ(rolled_back.steps, (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8})) << "metrics are of the course that counts";
  EXPECT_EQ(rolled_back.losses, never.losses);
  EXPECT_EQ(rolled_back.samples, 11 * 8);
  // Ended after the first time, and gone on with.
  Train("cut", GetParam(), batches, 6, keys);
  const Outcome resumed = Train("cut", GetParam(), batches, 8, keys);
  ExpectSameEnd(resumed, never);
  EXPECT_EQ(resumed.losses, never.losses);
  EXPECT_EQ(resumed.samples, 11 * 8);
}

// The sum of squares of a step's gradients over all ranks, one slot a parameter.
bool IsNorm(const FaultyCall& call) {
  return call.kind == CallKind::kAllReduce && call.communicator.name() == "world" && call.dtype == DType::kF32 &&
         call.num_elements > 1;
}
// It becomes NaN on the ranks of `where`, and with it the norm and the clipping factor.
Fault NoNumber(int step, const std::function<bool(int rank)>& where) {
  const auto is_norm = [where](const FaultyCall& call) { return IsNorm(call) && where(call.communicator.rank()); };
  return {.where = is_norm, .effect = FaultEffect::kScale, .factor = std::numeric_limits<double>::quiet_NaN(), .nth = step - 1};
}
bool Everywhere(int /*rank*/) { return true; }

// One rank's broken arithmetic is enough: the others go along with it.
TEST_P(BadStepIn, IsBadForAllIfItIsForOne) {
  const int last = GetParam().mesh.size() - 1;
  const Fault fault = NoNumber(3, [last](int rank) { return rank == last; });
  const Outcome skipped = Train("skipped", GetParam(), {1, 2, 3, 4}, 4, kSkip, {fault});
  EXPECT_EQ(*fault.num_struck, 1);
  ExpectSameEnd(skipped, Train("never", GetParam(), {1, 2, 4}, 3));
}

// A sum of gradients over the replicas brings no numbers, in any one bucket of the step: the padding of shards included.
Fault NoGradients(int64_t step) {
  const auto is_sum = [step](const FaultyCall& call) {
    const bool is_reduction = call.kind == CallKind::kReduceScatter || call.kind == CallKind::kAllReduce;
    const Place place = CurrentRecord().position().place;
    return is_reduction && call.communicator.name() == "dp" && place.step == step && place.phase == Phase::kTraining;
  };
  return {.where = is_sum, .effect = FaultEffect::kScale, .factor = std::numeric_limits<double>::quiet_NaN(), .nth = 1};
}

class BadGradientsIn : public BadStep, public testing::WithParamInterface<Composition> {};
INSTANTIATE_TEST_SUITE_P(Layouts, BadGradientsIn, testing::Values(kWholeGradients, kReplicas, kAll),
                         [](const auto& info) { return info.param.Name(); });

// They must not stay in a buffer that the next step adds to, nor reach a master, a moment or what is staged for them.
TEST_P(BadGradientsIn, LeaveNoTraceWhereTheStepIsSkipped) {
  const Fault fault = NoGradients(3);
  const Outcome skipped = Train("skipped", GetParam(), {1, 2, 3, 4, 5}, 5, kSkip, {fault});
  EXPECT_EQ(*fault.num_struck, GetParam().mesh.size());
  EXPECT_EQ(skipped.skipped, std::vector<int64_t>{3});
  ExpectSameEnd(skipped, Train("never", GetParam(), {1, 2, 4, 5}, 4));
}

// So do they where the run ends: it ends for all, and a save under way is still completed, which takes all of them.
TEST_P(BadStepIn, StopsAllIfItIsBadForOne) {
  const int last = GetParam().mesh.size() - 1;
  const Fault fault = NoNumber(3, [last](int rank) { return rank == last; });
  const Outcome stopped = Train("stopped", GetParam(), {1, 2, 3, 4}, 4, {"checkpoint.every=2"}, {fault});
  EXPECT_EQ(*fault.num_struck, 1);
  EXPECT_THAT(stopped.error, HasSubstr("step 3 is bad: "));
  EXPECT_EQ(InfoOf("stopped").step, 2);
}

// Weights, moments and what lies between them in memory have become NaN by then.
TEST_P(BadStepIn, RollsBackToTheStartWhileThereIsNoCheckpoint) {
  const Fault fault = NoNumber(2, Everywhere);
  const Outcome rolled_back = Train("rolled_back", GetParam(), {1, 2, 3, 4, 5}, 3, kRollBack, {fault});
  EXPECT_EQ(*fault.num_struck, GetParam().mesh.size());
  ExpectSameEnd(rolled_back, Train("never", GetParam(), {3, 4, 5}, 3));
  EXPECT_EQ(rolled_back.samples, 5 * 8);
}

TEST_F(BadStep, RollsBackToTheCheckpointThatTheRunWentOnFrom) {
  ASSERT_EQ(Train("run", kAlone, {1, 2, 3, 4, 5, 6}, 2, {"checkpoint.every=1"}).error, "");
  // Step 1 was chosen, so the checkpoints are moved aside, and with them the one to go back to.
  Keys keys = kRollBack;
  keys.push_back("checkpoint.resume=" + Path("run") + "/checkpoints/step-1");
  const Outcome rolled_back = Train("run", kAlone, {1, 2, 3, 4, 5, 6}, 3, keys, {NoNumber(2, Everywhere)});
  ExpectSameEnd(rolled_back, Train("never", kAlone, {1, 4, 5}, 3));
}

TEST_F(BadStep, RollsBackPastACheckpointThatIsDamaged) {
  const auto damage = [shard = Path("run") + "/checkpoints/step-2/rank-0.h5", count = std::make_shared<int>(0)](int rank) {
    if (rank == 0 && ++*count == 3) std::filesystem::resize_file(shard, 100);
    return true;
  };
  Keys keys = kRollBack;
  keys.insert(keys.end(), {"checkpoint.every=1", "checkpoint.asynchronous=false"});
  const Outcome rolled_back = Train("run", kReplicas, {1, 2, 3, 4, 5}, 3, keys, {NoNumber(3, damage)});
  ExpectSameEnd(rolled_back, Train("never", kReplicas, {1, 4, 5}, 3));
  EXPECT_EQ(rolled_back.samples, 5 * 8);
}

// Not bad: there is nothing to learn from them.
TEST_F(BadStep, BatchesWithoutLossAreSteppedOver) {
  const std::vector<int> batches = {kWithoutLoss, 1, 2, kWithoutLoss, kWithoutLoss, 3, 4};
  const Outcome never = Train("never", kReplicas, {1, 2, 3, 4}, 4);
  const Outcome run = Train("run", kReplicas, batches, 4);
  ExpectSameEnd(run, never);
  EXPECT_EQ(run.losses, never.losses);
  EXPECT_EQ(run.samples, 7 * 8);
  Train("cut", kReplicas, batches, 2);
  ExpectSameEnd(Train("cut", kReplicas, batches, 4), never);
  EXPECT_THAT(Train("nothing", kReplicas, {kWithoutLoss, kWithoutLoss}, 1).error, HasSubstr("100 global batches in a row have no token that carries loss"));
}

TEST_F(BadStep, StopsTheRunByItself) {
  const Outcome stopped = Train("run", kAlone, {1, 2, 3}, 3, {"checkpoint.every=1"}, {NoNumber(3, Everywhere)});
  EXPECT_THAT(stopped.error, AllOf(HasSubstr("step 3 is bad: the loss is "), HasSubstr("the gradient norm nan"), HasSubstr("bad_step.action: skip")));
  EXPECT_EQ(stopped.steps, (std::vector<double>{1, 2}));
  EXPECT_EQ(InfoOf("run").step, 2);
}

TEST_F(BadStep, SkipsNoMoreThanTheLimitInARow) {
  const auto train = [&](const std::string& name, const std::vector<int>& batches) {
    Keys keys = kSkip;
    keys.push_back("bad_step.limit=2");
    return Train(name, kAlone, batches, static_cast<int>(batches.size()), keys);
  };
  EXPECT_EQ(train("few", {1, 2, 3, 4, kOutlier, kOutlier, 7, kOutlier, kOutlier}).error, "");
  const Outcome many = train("many", {1, 2, 3, 4, kOutlier, kOutlier, kOutlier, 8});
  EXPECT_THAT(many.error, AllOf(HasSubstr("step 7 is bad: the loss is "), HasSubstr("so were the 2 before it"), HasSubstr("bad_step.limit")));
  EXPECT_EQ(InfoOf("many").step, 7) << "it is as sound as after step 4, and saved";
  EXPECT_TRUE(ReadCheckpointTensors(Path("many")) == Train("four", kAlone, {1, 2, 3, 4}, 4).tensors);
}

TEST_F(BadStep, RollsBackNoMoreThanTheLimitToOneCheckpoint) {
  Fault fault = NoNumber(1, Everywhere);
  fault.where = [where = fault.where, count = std::make_shared<int>(0)](const FaultyCall& call) { return where(call) && ++*count > 2; };
  fault.nth = Fault::kEvery;
  Keys keys = kRollBack;
  keys.insert(keys.end(), {"bad_step.limit=2", "checkpoint.every=2"});
  const Outcome run = Train("run", kAlone, {1, 2, 3, 4, 5, 6}, 4, keys, {fault});
  EXPECT_THAT(run.error, AllOf(HasSubstr("step 3 is bad: "), HasSubstr("step-2 2 times already"), HasSubstr("bad_step.limit")));
  EXPECT_EQ(*fault.num_struck, 3);
}

#ifndef __SANITIZE_THREAD__  // it starts no threads after a fork
// Nothing on disk tells of a roll back before the next save. The run meets the same bad step again.
TEST_P(BadStepIn, ARollBackThatIsKilledBeforeTheNextSaveIsMadeAgain) {
  Keys keys = kRollBack;
  keys.push_back("checkpoint.every=2");
  const std::vector<int> batches = {1, 2, 3, 4, 5, kOutlier, 7, 8, 9, 10};  // step 6 is bad; back to step 4
  Fault kill;
  kill.where = [count = std::make_shared<int>(0)](const FaultyCall& call) {
    const bool is_step = IsNorm(call) && call.communicator.rank() == 0;
    if (is_step && ++*count == 8) raise(SIGKILL);  // 6 steps, and the second after the roll back
    return false;
  };
  EXPECT_EXIT(Train("killed", GetParam(), batches, 8, keys, {kill}), testing::KilledBySignal(SIGKILL), "the run goes on from ");
  EXPECT_EQ(InfoOf("killed").step, 4);
  const Outcome resumed = Train("killed", GetParam(), batches, 8, keys);
  const Outcome never = Train("never", GetParam(), {1, 2, 3, 4, 7, 8, 9, 10}, 8);
  ExpectSameEnd(resumed, never);
  EXPECT_EQ(resumed.losses, never.losses);
  EXPECT_EQ(resumed.samples, 10 * 8);
}
#endif

#ifndef __SANITIZE_THREAD__  // it reports the lock orders of Open MPI
TEST_F(BadStep, IsTreatedTheSameByProcesses) {
  const auto train = [&](const std::string& name, const std::vector<int>& batches, int steps, const Keys& more) {
    return RunWeft(run_.ArgumentsOf(kReplicas, KeysOf(name, batches, steps, more)), kReplicas.mesh.size());
  };
  Keys keys = kRollBack;
  keys.push_back("checkpoint.every=2");
  const JobResult rolled_back = train("rolled_back", {1, 2, 3, 4, 5, kOutlier, 7, 8}, 6, keys);
  EXPECT_EQ(rolled_back.exit_code, 0) << rolled_back.err;
  EXPECT_THAT(rolled_back.err, AllOf(HasSubstr("warning: step 6 is bad: the loss is "), HasSubstr("steps over the 16 sequences")));
  const JobResult skipped = train("skipped", {1, 2, 3, 4, kOutlier, 7, 8}, 7, kSkip);
  EXPECT_EQ(skipped.exit_code, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("step 5 is skipped"));
  EXPECT_EQ(train("never", {1, 2, 3, 4, 7, 8}, 6, {}).exit_code, 0);
  for (const char* name : {"rolled_back", "skipped"}) {
    EXPECT_TRUE(ReadCheckpointTensors(Path(name)) == ReadCheckpointTensors(Path("never"))) << name;
  }
  const JobResult stopped = train("stopped", {1, 2, 3, 4, kOutlier}, 5, {"bad_step.spike_factor=1.25", "bad_step.window=3"});
  EXPECT_EQ(stopped.exit_code, 2) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("step 5 is bad: the loss is "));
}
#endif

}  // namespace
}  // namespace weft
