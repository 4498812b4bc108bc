// Part of the matrix as users run it: `weft train` under mpirun with 8 processes, more than most hosts have cores,
// against the same run alone.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/equivalence/composition.h"
#include "tests/equivalence/trajectory.h"
#include "tests/equivalence/uneven_run.h"

namespace weft {
namespace {

class UnderMpirun : public testing::TestWithParam<Composition> {
 protected:
#ifdef __SANITIZE_THREAD__
  void SetUp() override { GTEST_SKIP() << "TSan reports the lock orders of Open MPI"; }
#endif
  // Losses, norms and last weights of the run of that name, trained, or gone on with, up to step `steps`. ranks 0: not under
  // mpirun.
  Trajectory Train(const std::string& name, const Composition& composition, int ranks, int steps = UnevenRun::kSteps) const {
    const std::string folder = run_.Path(name);
    const JobResult job =
        RunWeft(run_.ArgumentsOf(composition, {"output=" + folder, "steps=" + std::to_string(steps), "checkpoint.keep=0"}), ranks);
    EXPECT_EQ(job.exit_code, 0) << job.err;
    return ReadTrajectory(folder);
  }

 private:
  const UnevenRun run_;
};

TEST_P(UnderMpirun, EightRanksComputeWhatOneDoes) {
  const Composition alone = OneRank(GetParam().family, GetParam().tied);
  std::map<std::string, std::vector<float>> after_step_1 = Train("alone", alone, 0, 1).end;
  Trajectory reference = Train("alone", alone, 0);
  reference.start = std::move(after_step_1);  // what distances count from
  ASSERT_EQ(reference.losses.size(), static_cast<size_t>(UnevenRun::kSteps));
  reference.eval_losses.erase(reference.eval_losses.begin());  // at the end of the run of one step
  const Difference difference =
      Compare(reference, Train("together", GetParam(), GetParam().mesh.size()), {.gradients = false});
  EXPECT_TRUE(Exceeded(difference).empty());
  std::cout << GetParam().Name() << ": " << difference.ToString() << "\n";
}

std::vector<Composition> OnEightRanks() {
  const MeshShape all_axes = {.pp = 2, .dp = 2, .tp = 2};
  std::vector<Composition> compositions = {
      {.mesh = all_axes, .zero_stage = 3, .offload = true, .schedule = "interleaved", .accumulation = 4, .tied = true, .family = "qwen3"},
      {.mesh = {.dp = 8}, .zero_stage = 3, .reshard = "per_use"},
      {.mesh = {.dp = 2, .tp = 4}, .zero_stage = 2, .recompute = "block", .tied = true, .family = "qwen2"},
      {.mesh = {.pp = 2, .tp = 4}, .offload = true, .schedule = "gpipe", .accumulation = 2, .family = "qwen3"},
      {.mesh = {.pp = 4, .dp = 2}, .zero_stage = 1, .schedule = "zero_bubble", .accumulation = 4, .tied = true}};
  if (kSanitized) compositions.resize(1);
  return compositions;
}

INSTANTIATE_TEST_SUITE_P(EightRanks, UnderMpirun, testing::ValuesIn(OnEightRanks()),
                         [](const auto& info) { return info.param.Name(); });

}  // namespace
}  // namespace weft
