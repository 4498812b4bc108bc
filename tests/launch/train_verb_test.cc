// `weft train` as users run it: alone and under mpirun, stopped and resumed, and with mistakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/cuda_device.h"
#include "core/str_cat.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string TrainTiny(const std::string& output, const std::string& more = "") {
  return "train configs/tiny.yaml --set device=cpu --set data.path=" + SmallTokenStore() + " --set output=" + output + " " + more;
}

class TrainVerb : public testing::Test {
 protected:
  std::string Output(const std::string& name) const { return scratch_.path() + "/" + name; }
  ScratchFolder scratch_;
};

TEST_F(TrainVerb, GivesTheSameLossesOnOneTwoAndFourRanks) {
  const JobResult alone = RunWeft(TrainTiny(Output("alone")));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const std::vector<double> expected = MetricOf(Output("alone"), "loss"), norms = MetricOf(Output("alone"), "grad_norm");
  ASSERT_EQ(expected.size(), 20u);
  EXPECT_LT(expected.back(), 0.8 * expected.front());
  for (const int ranks : {1, 2, 4}) {
    const std::string output = Output("ranks" + std::to_string(ranks));
    const JobResult job = RunWeft(TrainTiny(output), ranks);
    ASSERT_EQ(job.exit_code, 0) << job.err;
    const std::vector<double> losses = MetricOf(output, "loss"), theirs = MetricOf(output, "grad_norm");
    ASSERT_EQ(losses.size(), expected.size());
    for (size_t i = 0; i < losses.size(); ++i) {
      EXPECT_NEAR(losses[i], expected[i], 1e-5 * expected[i]) << ranks << " ranks, step " << i + 1;
      EXPECT_NEAR(theirs[i], norms[i], 1e-4 * norms[i]) << ranks << " ranks, step " << i + 1;
    }
  }
}

TEST_F(TrainVerb, IsTheSameTaskInLargerMicroBatchesAndWithRecomputation) {
  ASSERT_EQ(RunWeft(TrainTiny(Output("a"))).exit_code, 0);
  const JobResult other = RunWeft(TrainTiny(Output("b"), "--set train_micro_batch_size_per_gpu=2 --set recompute=block"));
  ASSERT_EQ(other.exit_code, 0) << other.err;
  const std::vector<double> a = MetricOf(Output("a"), "loss"), b = MetricOf(Output("b"), "loss");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * a[i]) << i;
}

TEST_F(TrainVerb, TrainsAloneUnderALauncherOnAGpu) {
  if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no CUDA device here";
  const JobResult job = RunWeft(TrainTiny(Output("alone"), "--set device=cuda"), 1);
  EXPECT_EQ(job.exit_code, 0) << job.err;
}

TEST_F(TrainVerb, ResumesBitForBit) {
  for (const int ranks : {0, 2}) {
    const std::string whole = Output("whole" + std::to_string(ranks)), parts = Output("parts" + std::to_string(ranks));
    const std::string fixed = "--set scheduler.params.total_num_steps=20 ";
    ASSERT_EQ(RunWeft(TrainTiny(whole, fixed), ranks).exit_code, 0);
    ASSERT_EQ(RunWeft(TrainTiny(parts, fixed + "--set steps=7"), ranks).exit_code, 0);
    const JobResult resumed = RunWeft(TrainTiny(parts, fixed), ranks);
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("resumed"));
    EXPECT_EQ(MetricOf(parts, "step"), MetricOf(whole, "step"));
    EXPECT_EQ(MetricOf(parts, "loss"), MetricOf(whole, "loss"));
    EXPECT_EQ(MetricOf(parts, "grad_norm"), MetricOf(whole, "grad_norm"));
    for (const std::string& run : {whole, parts}) {
      ASSERT_EQ(RunWeft("export " + run + " --to " + run + "/model").exit_code, 0);
    }
    EXPECT_EQ(Slurp(whole + "/model/model.safetensors"), Slurp(parts + "/model/model.safetensors"));
    EXPECT_FALSE(Slurp(whole + "/model/model.safetensors").empty());
  }
}

TEST_F(TrainVerb, VerifiesALayoutOnceARunFolder) {
  const std::string line = "verified on a tiny model: mesh pp1 dp2 tp1 computes what one rank does";
  const auto train = [&](const std::string& more) {
    const JobResult job = RunWeft(TrainTiny(Output("run"), more), 2);
    EXPECT_EQ(job.exit_code, 0) << job.err;
    return job.err;
  };
  EXPECT_THAT(train("--set steps=2 --set verify_parallel=never"), Not(HasSubstr("verified")));
  const std::string fixed = "--set scheduler.params.total_num_steps=20 --set checkpoint.resume=never --set steps=2 ";
  EXPECT_THAT(train(fixed), HasSubstr(line));
  EXPECT_THAT(Slurp(Output("run") + "/verified.jsonl"), HasSubstr("gradient_difference"));
  EXPECT_THAT(train(fixed), Not(HasSubstr("verified")));
  const auto shown = [&] { return RunWeft("inspect checkpoint " + Output("run")).out; };
  EXPECT_THAT(shown(), HasSubstr("\nverified: mesh pp1 dp2 tp1 computes what one rank does (differences: loss ")) << "known from the first time";
  EXPECT_THAT(train(fixed + "--set verify_parallel=always"), HasSubstr(line));
  EXPECT_THAT(train(fixed + "--verify-parallel"), HasSubstr(line));
  EXPECT_THAT(train(fixed + "--set verify_parallel=never"), Not(HasSubstr(line)));
  EXPECT_THAT(shown(), HasSubstr("\nverified: no (verify_parallel: never)\n"));
  EXPECT_THAT(train(fixed + "--set zero_optimization.stage=3"), HasSubstr(line));
}

TEST_F(TrainVerb, WritesWhatItPromises) {
  const JobResult job = RunWeft(TrainTiny(Output("run"), "--set checkpoint.every=5 --set checkpoint.keep=2"));
  ASSERT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(job.out, "");
  EXPECT_THAT(Slurp(Output("run/loss.svg")), HasSubstr("</svg>"));
  EXPECT_THAT(Slurp(Output("run/config.yaml")), HasSubstr("train_micro_batch_size_per_gpu:"));
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints/step-20")));
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints/step-15")));
  EXPECT_FALSE(std::filesystem::exists(Output("run/checkpoints/step-10")));
  // A resolved configuration is itself a configuration.
  EXPECT_EQ(RunWeft("inspect config " + Output("run/config.yaml")).exit_code, 0);
  EXPECT_THAT(RunWeft("inspect checkpoint " + Output("run")).out, HasSubstr("second_moment/model.norm.weight"));
  EXPECT_THAT(RunWeft("inspect data " + SmallTokenStore()).out, HasSubstr("vocabulary 272"));
  EXPECT_THAT(RunWeft("inspect reference").out, HasSubstr("gradient_clipping"));
}

TEST_F(TrainVerb, RefusesToResumeAnotherRun) {
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), "--set steps=2 --set scheduler.params.total_num_steps=20")).exit_code, 0);
  const JobResult other = RunWeft(TrainTiny(Output("run"), "--set seed=9 --set scheduler.params.total_num_steps=20"));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("seed: was"));
  const JobResult anew = RunWeft(TrainTiny(Output("run"), "--set seed=9 --set checkpoint.resume=never --set steps=2"));
  EXPECT_EQ(anew.exit_code, 0) << anew.err;
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints.old-1/step-2"))) << "nothing is lost";
}

TEST_F(TrainVerb, GoingOnFromAnEarlierCheckpointIsWhatTheNextStartGoesOnFrom) {
  const std::string fixed = "--set scheduler.params.total_num_steps=20 --set checkpoint.every=2 --set checkpoint.keep=0 ";
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), fixed + "--set steps=6")).exit_code, 0);
  const JobResult back =
      RunWeft(TrainTiny(Output("run"), fixed + "--set steps=4 --set checkpoint.resume=" + Output("run/checkpoints/step-2")));
  ASSERT_EQ(back.exit_code, 0) << back.err;
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints.old-1/step-6"))) << "nothing is lost";
  const JobResult next = RunWeft(TrainTiny(Output("run"), fixed + "--set steps=5"));
  EXPECT_THAT(next.err, HasSubstr("step-4 after step 4"));
}

// As when the job was killed before its first save.
TEST_F(TrainVerb, ACheckpointThatWasMovedAsideIsFoundAgainByTheSameCommand) {
  const std::string fixed = "--set scheduler.params.total_num_steps=20 --set checkpoint.every=2 --set checkpoint.keep=0 ";
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), fixed + "--set steps=4")).exit_code, 0);
  std::filesystem::rename(Output("run/checkpoints"), Output("run/checkpoints.old-1"));
  const JobResult plain = RunWeft(TrainTiny(Output("run"), fixed + "--set steps=1"));
  EXPECT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_THAT(plain.err, HasSubstr("an older course lies in " + Output("run/checkpoints.old-1")));
  const std::string same = TrainTiny(Output("run"), fixed + "--set steps=4 --set optimizer.params.lr=1e-5 --set scheduler.params.min_lr=1e-6 "
                                                    "--set checkpoint.resume=" + Output("run/checkpoints/step-2"));
  std::filesystem::remove_all(Output("run/checkpoints"));
  const JobResult again = RunWeft(same);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("resumed " + Output("run/checkpoints.old-1/step-2") + " after step 2"));
  EXPECT_THAT(again.err, HasSubstr("optimizer.params.lr: was ")) << "a named checkpoint is gone on from with another rate";
}

// As when a job that names a checkpoint is requeued. Another rate is another course.
TEST_F(TrainVerb, ACourseThatANamedCheckpointBeganGoesOnUnderTheSameCommand) {
  const std::string fixed = "--set scheduler.params.total_num_steps=20 --set checkpoint.every=2 --set checkpoint.keep=0 ";
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), fixed + "--set steps=6")).exit_code, 0);
  const std::string command = fixed + "--set checkpoint.resume=" + Output("run/checkpoints/step-2") + " --set optimizer.params.lr=";
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), command + "2e-3 --set steps=4")).exit_code, 0);
  for (const int ranks : {0, 2}) {
    const JobResult again = RunWeft(TrainTiny(Output("run"), StrCat(command, "2e-3 --set steps=", 6 + ranks)), ranks);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(again.err, HasSubstr(StrCat("resumed ", Output("run/checkpoints/step-"), 4 + ranks, " after step ", 4 + ranks)));
    EXPECT_FALSE(std::filesystem::exists(Output("run/checkpoints.old-2")));
  }
  const JobResult other = RunWeft(TrainTiny(Output("run"), command + "1e-3 --set steps=4"));
  ASSERT_EQ(other.exit_code, 0) << other.err;
  EXPECT_THAT(other.err, HasSubstr("step-2 after step 2"));
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints.old-2/step-8"))) << "nothing is lost";
}

TEST_F(TrainVerb, KeepsCheckpointsThatHaveLostTheirMarks) {
  const std::string fixed = "--set scheduler.params.total_num_steps=20 ";
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), fixed + "--set steps=3")).exit_code, 0);
  std::filesystem::remove(Output("run/checkpoints/step-3/complete"));
  const JobResult anew = RunWeft(TrainTiny(Output("run"), fixed + "--set steps=1"));
  EXPECT_EQ(anew.exit_code, 0) << anew.err;
  EXPECT_THAT(anew.err, HasSubstr("all lack the file 'complete', so the run begins anew"));
  EXPECT_TRUE(std::filesystem::exists(Output("run/checkpoints.old-1/step-3/rank-0.h5")));
  EXPECT_THAT(Slurp(Output("run/checkpoints.old-1/metrics.jsonl")), HasSubstr("\"step\":3"));
}

TEST_F(TrainVerb, NamesAnotherCheckpointWhereTheNewestIsDamaged) {
  const std::string fixed = "--set scheduler.params.total_num_steps=20 --set checkpoint.every=2 ";
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), fixed + "--set steps=4")).exit_code, 0);
  std::filesystem::remove(Output("run/checkpoints/step-4/index.h5"));
  const JobResult job = RunWeft(TrainTiny(Output("run"), fixed + "--set steps=5"));
  EXPECT_EQ(job.exit_code, 2) << job.err;
  EXPECT_THAT(job.err, HasSubstr("checkpoint.resume: " + Output("run/checkpoints/step-2") + " goes on from that"));
}

TEST_F(TrainVerb, SaysThatNothingIsEvaluatedWithoutAValidationSplit) {
  const std::string store = Output("all.h5"), train = "--set steps=1 --set eval.every=1 --set data.path=" + store + " ";
  ASSERT_EQ(RunWeft("data prepare core --validation-fraction 0 --sequence-length 64 --to " + store).exit_code, 0);
  const JobResult job = RunWeft(TrainTiny(Output("run"), train));
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(job.err, HasSubstr("has no validation split"));
  const JobResult best = RunWeft(TrainTiny(Output("best"), train + "--set checkpoint.every=1 --set checkpoint.keep_best=1"));
  EXPECT_EQ(best.exit_code, 2) << best.err;
  EXPECT_THAT(best.err, HasSubstr("checkpoint.keep_best: "));
}

TEST_F(TrainVerb, RefusesRanksThatReadDifferentSettings) {
  const std::string weft = std::string(" -n 1 ") + WEFT_BINARY + " ", line = weft + TrainTiny(Output("run"));
  const JobResult job = RunShell(". launch/environment.sh; mpirun --bind-to none" + line + " :" + line + " --set seed=2");
  EXPECT_EQ(job.exit_code, 2) << job.err;
  EXPECT_THAT(job.err, HasSubstr("rank 1 has read other settings"));
  EXPECT_FALSE(std::filesystem::exists(Output("run")));
}

TEST_F(TrainVerb, KnowsItsDataWhereverItLiesAndRefusesOther) {
  const std::string fixed = "--set scheduler.params.total_num_steps=20 ", moved = Output("moved.h5");
  ASSERT_EQ(RunWeft(TrainTiny(Output("run"), fixed + "--set steps=2")).exit_code, 0);
  std::filesystem::copy_file(SmallTokenStore(), moved);
  const JobResult same = RunWeft(TrainTiny(Output("run"), fixed + "--set steps=3 --set data.path=" + moved));
  EXPECT_EQ(same.exit_code, 0) << same.err;
  ASSERT_EQ(RunWeft("data prepare core --to " + moved + " --sequence-length 64").exit_code, 0);
  const JobResult other = RunWeft(TrainTiny(Output("run"), fixed + "--set steps=4 --set data.path=" + moved));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("was trained on other data"));
}

TEST_F(TrainVerb, StopsWhereTheLossIsNoNumber) {
  const JobResult job = RunWeft(TrainTiny(Output("run"), "--set optimizer.params.lr=1e30 --set scheduler.params.min_lr=1e29 "
                                                         "--set checkpoint.every=1"));
  EXPECT_EQ(job.exit_code, 2) << job.err;
  EXPECT_THAT(job.err, HasSubstr("lower optimizer.params.lr"));
}

TEST_F(TrainVerb, MixesSourcesTheSameOnAnyNumberOfRanks) {
  const std::string other = Output("other.h5");
  ASSERT_EQ(RunWeft("data prepare optim --to " + other + " --sequence-length 64").exit_code, 0);
  const std::string mixed = "--set data.path=null --set data.sources='[{path: " + SmallTokenStore() + ", weight: 3}, {path: " + other +
                            "}]' --set steps=6 --set eval.every=3";
  ASSERT_EQ(RunWeft(TrainTiny(Output("a"), mixed)).exit_code, 0);
  const JobResult two = RunWeft(TrainTiny(Output("b"), mixed + " --set train_micro_batch_size_per_gpu=2"), 2);
  ASSERT_EQ(two.exit_code, 0) << two.err;
  EXPECT_THAT(two.err, HasSubstr("3 of 4 from " + SmallTokenStore()));
  const std::vector<double> a = MetricOf(Output("a"), "loss"), b = MetricOf(Output("b"), "loss");
  ASSERT_EQ(a.size(), 6u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(b[i], a[i], 1e-5 * a[i]) << i;
  EXPECT_THAT(Slurp(Output("b/metrics.jsonl")), HasSubstr("\"eval_loss_by_source\":["));
  // A resolved configuration is itself a configuration.
  EXPECT_EQ(RunWeft("inspect config " + Output("a/config.yaml")).exit_code, 0);
  const JobResult other_weights = RunWeft("train " + Output("a/config.yaml") + " --set steps=7 --set scheduler.params.total_num_steps=6 "
                                          "--set data.sources.1.weight=2");
  EXPECT_EQ(other_weights.exit_code, 2);
  EXPECT_THAT(other_weights.err, HasSubstr("mixed with other weights"));
}

struct Mistake {
  std::string name, arguments, message;
  std::vector<int> ranks = {0, 2};  // numbers of them to make it with; 0: not under mpirun
};
void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.arguments; }
class TrainVerbMistake : public TrainVerb, public testing::WithParamInterface<Mistake> {};

TEST_P(TrainVerbMistake, GetsOneErrorAndWritesNothing) {
  for (const int ranks : GetParam().ranks) {
    const JobResult job = RunWeft(TrainTiny(Output("run"), GetParam().arguments), ranks);
    EXPECT_EQ(job.exit_code, 2) << job.err;
    EXPECT_THAT(job.err, HasSubstr(GetParam().message));
    EXPECT_EQ(job.err.find("weft: error:"), job.err.rfind("weft: error:")) << "one error:\n" << job.err;
    EXPECT_FALSE(std::filesystem::exists(Output("run")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainVerbMistake,
    testing::Values(Mistake{"UnknownKey", "--set optimiser.type=AdamW", "did you mean 'optimizer'"},
                    Mistake{"UnknownOption", "--sett x=1", "--sett"},
                    Mistake{"MissingData", "--set data.path=/nonexistent/data.h5", "/nonexistent/data.h5"},
                    Mistake{"ForeignData", "--set data.path=README.md", "README.md"},
                    Mistake{"BrokenModel", "--set model.path=docs", "docs/config.json"},
                    Mistake{"UnevenBatch", "--set train_batch_size=7 --set train_micro_batch_size_per_gpu=2", "train_batch_size"},
                    Mistake{"NotBuiltYet", "--set precision=fp8", "precision"},
                    Mistake{"TooManyRanksAStage", "--set parallel.tp=3", "pp 1 * tp 3 does not divide the number of ranks"},
                    Mistake{"ImpossibleModel", "--set model.num_hidden_layers=4000000000", "num_hidden_layers"},
                    Mistake{"TooLargeModel",
                            "--set model.vocab_size=16777216 --set model.hidden_size=32768 --set model.num_attention_heads=64",
                            "parameters takes at least"},
                    Mistake{"TooLongMicroBatch", "--set data.sequence_length=4000000000", "micro-batch"},
                    Mistake{"TooManyThreads", "--set threads=5000000000", "threads"},
                    Mistake{"TooLongSequences", "--set data.sequence_length=100000", "max_position_embeddings"}),
    [](const auto& info) { return info.param.name; });

// configs/tiny.yaml has 2 blocks, 4 heads, 2 kv heads and a vocabulary of 272.
INSTANTIATE_TEST_SUITE_P(
    Layouts, TrainVerbMistake,
    testing::Values(Mistake{"HeadsThatTpDoesNotDivide",
                            "--set parallel.tp=4 --set model.num_attention_heads=6 --set model.num_key_value_heads=6 "
                            "--set model.head_dim=8",
                            "parallel.tp: 4 ranks cannot share equally num_attention_heads = 6", {4}},
                    Mistake{"KvHeadsThatTpDoesNotDivide", "--set parallel.tp=4",
                            "parallel.tp: 4 ranks cannot share equally num_key_value_heads = 2", {4}},
                    Mistake{"VocabularyThatTpDoesNotDivide", "--set parallel.tp=2 --set model.vocab_size=273",
                            "parallel.tp: 2 ranks cannot share equally vocab_size = 273", {2, 4}},
                    Mistake{"MoreStagesThanGroups", "--set parallel.pp=4 --set model.num_hidden_layers=1",
                            "parallel.pp: the model's 1 blocks make 3 stages at most, not 4", {4}},
                    Mistake{"BlocksOfStagesThatDoNotAddUp", "--set parallel.pp=2 --set parallel.blocks_per_stage=[1,2]",
                            "parallel.blocks_per_stage: 3 blocks in all, but the model has 2", {2, 4}},
                    Mistake{"BlocksOfOneStageThatDoNotAddUp", "--set parallel.blocks_per_stage=[3]",
                            "parallel.blocks_per_stage: 3 blocks, but the model has 2", {0, 1, 4}}),
    [](const auto& info) { return info.param.name; });

TEST_F(TrainVerb, RefusesATruncatedTokenStore) {
  const std::string broken = Output("broken.h5");
  const std::string whole = Slurp(SmallTokenStore());
  std::ofstream(broken, std::ios::binary) << whole.substr(0, whole.size() / 2);
  for (const int ranks : {0, 2}) {
    const JobResult job = RunWeft(TrainTiny(Output("run"), "--set data.path=" + broken), ranks);
    EXPECT_EQ(job.exit_code, 2) << job.err;
    EXPECT_THAT(job.err, HasSubstr("broken.h5"));
    EXPECT_FALSE(std::filesystem::exists(Output("run")));
  }
}

TEST_F(TrainVerb, RefusesAnOutputThatIsAFile) {
  std::ofstream(Output("run")) << "mine";
  for (const std::string& output : {Output("run"), Output("run/below")}) {
    for (const int ranks : {0, 2}) {
      const JobResult job = RunWeft(TrainTiny(output), ranks);
      EXPECT_EQ(job.exit_code, 2) << job.err;
      EXPECT_THAT(job.err, HasSubstr(output));
    }
  }
  EXPECT_EQ(Slurp(Output("run")), "mine");
}

TEST_F(TrainVerb, RefusesToReplaceAConfigurationOfTheUsersOwn) {
  std::filesystem::create_directories(Output("mine"));
  std::ofstream(Output("mine/config.yaml")) << "# mine";
  for (const int ranks : {0, 2}) {
    const JobResult job = RunWeft(TrainTiny(Output("mine")), ranks);
    EXPECT_EQ(job.exit_code, 2) << job.err;
    EXPECT_THAT(job.err, HasSubstr(Output("mine") + " is no run's folder"));
  }
  EXPECT_EQ(Slurp(Output("mine/config.yaml")), "# mine");
}

TEST_F(TrainVerb, EvaluatesTheSameSequencesOnAnyNumberOfRanks) {
  const std::string few = "--set steps=1 --set train_batch_size=4 --set eval.batches=1 --set train_micro_batch_size_per_gpu=";
  ASSERT_EQ(RunWeft(TrainTiny(Output("a"), few + "4")).exit_code, 0);
  ASSERT_EQ(RunWeft(TrainTiny(Output("b"), few + "1"), 2).exit_code, 0);
  EXPECT_NEAR(MetricOf(Output("a"), "eval_loss").at(0), MetricOf(Output("b"), "eval_loss").at(0), 1e-5);
}

TEST_F(TrainVerb, NamesTheFileAndLineOfAMistake) {
  const std::string config = Output("bad.yaml");
  std::ofstream(config) << "output: run\nsteps: 3\nmodel:\n  hidden_sizes: 64\n";
  const JobResult job = RunWeft("train " + config);
  EXPECT_EQ(job.exit_code, 2);
  EXPECT_THAT(job.err, HasSubstr("bad.yaml:4"));
  EXPECT_THAT(job.err, HasSubstr("did you mean 'hidden_size'"));
}

}  // namespace
}  // namespace weft
