// Part of the matrix on two GPUs: `mpirun -n 2 weft train` over NCCL against one rank on one GPU, in f32 and in bf16.
//
// f32 (the CUDA GEMM never uses TF32): losses, evaluations' too, and norms must agree to 1e-4, the last weights to 1e-3 of the distance they
// moved. In bf16 roundings depend on who adds what, so the yardstick is measured: five one-rank runs that differ in the
// order of their micro-batches alone have a spread (the largest distance of two of them at any step so far); a run on two
// GPUs may be at most twice as far from their mean. Needs the weft binary and this one; skips without two GPUs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "core/cuda_device.h"
#include "core/str_cat.h"
#include "tests/equivalence/composition.h"
#include "tests/equivalence/reordered_corpus.h"
#include "tests/equivalence/trajectory.h"
#include "tests/equivalence/uneven_run.h"

namespace weft {
namespace {

constexpr int kMicroBatches = 4;
constexpr int kSteps = UnevenRun::kSteps;
constexpr int kNumOrders = 5;
constexpr int32_t kVocabSize = 80;

// Extents that every library has fast kernels for; the odd ones of the CPU matrix are for finding faults in our own loops.
const std::vector<std::string> kGpuModel = {"model.hidden_size=64", "model.intermediate_size=160", "model.head_dim=16", "device=cuda",
                                            "checkpoint.keep=0"};

struct Job {
  std::string precision;
  int order = 0;       // of the micro-batches of each step
  int steps = kSteps;  // to stop after
  std::string Name() const { return StrCat(precision, "-order", order, "-steps", steps); }
};

// Losses, norms and last weights of one job.
Trajectory Train(const UnevenRun& run, const Composition& composition, const Job& job) {
  const RunConfig config = run.ConfigOf(OneRank("llama", false));
  const std::string corpus = run.Path("corpus-in-order.h5"), output = run.Path(StrCat(composition.Name(), "-", job.Name()));
  WriteReorderedCorpus(corpus, config, kVocabSize, *config.train_batch_size / kMicroBatches, job.order);
  std::vector<std::string> keys = kGpuModel;
  for (const std::string& key : {"precision=" + job.precision, "data.path=" + corpus, "output=" + output,
                                 StrCat("steps=", job.steps)}) {
    keys.push_back(key);
  }
  const int ranks = composition.mesh.size();
  const JobResult result = RunWeft(run.ArgumentsOf(composition, keys), ranks == 1 ? 0 : ranks);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  Trajectory trajectory = ReadTrajectory(output);
  EXPECT_EQ(trajectory.losses.size(), static_cast<size_t>(job.steps));
  return trajectory;
}

// The same on one rank; each job runs once a process.
const Trajectory& TrainAlone(const UnevenRun& run, bool tied, const Job& job) {
  static std::map<std::string, Trajectory> done;
  const auto [at, is_new] = done.try_emplace(StrCat(tied, job.Name()));
  if (is_new) at->second = Train(run, {.accumulation = kMicroBatches, .tied = tied}, job);
  return at->second;
}

class TwoGpus : public testing::TestWithParam<Composition> {
 protected:
  void SetUp() override {
    if (cuda::DeviceCount() < 2) GTEST_SKIP() << "needs two CUDA devices; there are " << cuda::DeviceCount();
  }
  const UnevenRun run_;
};

TEST_P(TwoGpus, ComputeInF32WhatOneDoes) {
  Trajectory reference = TrainAlone(run_, GetParam().tied, {.precision = "f32"});
  reference.start = TrainAlone(run_, GetParam().tied, {.precision = "f32", .steps = 1}).end;  // what distances count from
  EXPECT_LT(reference.losses.back(), 0.8 * reference.losses.front());
  const Difference difference = Compare(reference, Train(run_, GetParam(), {.precision = "f32"}), {.gradients = false});
  EXPECT_TRUE(Exceeded(difference, {.loss = 1e-4, .grad_norm = 1e-4, .evaluation = 1e-4}).empty());
  std::cout << GetParam().Name() << " f32: " << difference.ToString() << "\n";
}

using Figure = std::vector<double> Trajectory::*;

std::vector<double> MeanOf(const std::vector<Trajectory>& runs, Figure figure) {
  std::vector<double> mean(kSteps, 0);
  for (const Trajectory& run : runs) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += (run.*figure)[i] / static_cast<double>(runs.size());
  }
  return mean;
}

// The largest distance of two runs at the same step, relative to `reference`.
double Farthest(const std::vector<double>& a, const std::vector<double>& b, const std::vector<double>& reference) {
  double farthest = 0;
  for (size_t i = 0; i < reference.size(); ++i) farthest = std::max(farthest, std::abs(a[i] - b[i]) / reference[i]);
  return farthest;
}

TEST_P(TwoGpus, ComputeInBf16WhatReorderedRunsDo) {
  std::vector<Trajectory> runs;
  for (int order = 0; order < kNumOrders; ++order) {
    runs.push_back(TrainAlone(run_, GetParam().tied, {.precision = "bf16", .order = order}));
  }
  const Trajectory together = Train(run_, GetParam(), {.precision = "bf16"});
  ASSERT_FALSE(HasFailure());
  for (const auto& [name, figure] : {std::pair{"loss", &Trajectory::losses}, {"norm", &Trajectory::grad_norms}}) {
    const std::vector<double> mean = MeanOf(runs, figure);
    double spread = 0;
    for (const Trajectory& a : runs) {
      for (const Trajectory& b : runs) spread = std::max(spread, Farthest(a.*figure, b.*figure, mean));
    }
    const double distance = Farthest(together.*figure, mean, mean);
    EXPECT_GT(spread, 0) << "reordering changes nothing: no yardstick";
    EXPECT_LE(distance, 2 * spread) << name;
    std::cout << GetParam().Name() << " bf16 " << name << " in " << kSteps << " steps: " << distance
              << " from the mean of runs with a spread of " << spread << "\n";
  }
}

std::vector<Composition> OnTwoRanks() {
  std::vector<Composition> compositions;
  for (const bool offload : {false, true}) {
    compositions.push_back({.mesh = {.tp = 2}, .offload = offload, .accumulation = kMicroBatches});
    compositions.push_back({.mesh = {.pp = 2}, .offload = offload, .accumulation = kMicroBatches, .tied = true});
    for (int stage = 0; stage <= 3; ++stage) {
      compositions.push_back({.mesh = {.dp = 2}, .zero_stage = stage, .offload = offload, .accumulation = kMicroBatches / 2});
    }
  }
  return compositions;
}

INSTANTIATE_TEST_SUITE_P(Layouts, TwoGpus, testing::ValuesIn(OnTwoRanks()), [](const auto& info) { return info.param.Name(); });

}  // namespace
}  // namespace weft
