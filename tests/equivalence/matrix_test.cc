// The equivalence matrix: every composition of parallelism, sharding, offload, schedule and recomputation computes what
// one rank does. Thread ranks with asynchronous queues and random delays; f32; a cover of all pairs of settings.
//
// Under a sanitizer only the full compositions and one of each mesh run, for too few steps to learn.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <string>

#include "tests/equivalence/composition.h"
#include "tests/equivalence/trajectory.h"
#include "tests/equivalence/uneven_run.h"

namespace weft {
namespace {

class EquivalenceMatrix : public testing::TestWithParam<Composition> {
 protected:
  Trajectory Run(const Composition& composition, const RunOptions& options = {}) const {
    return RunOnThreads(run_.ConfigOf(composition), composition.mesh.size(), options);
  }

 private:
  const UnevenRun run_;
};

// What makes the comparison worth something: the reference learns, is clipped, and everything it has moves.
void ExpectInstructive(const Trajectory& reference) {
  ASSERT_EQ(reference.losses.size(), static_cast<size_t>(UnevenRun::kSteps));
  ASSERT_EQ(reference.eval_losses.size(), static_cast<size_t>(UnevenRun::kSteps / UnevenRun::kStepsAnEvaluation));
  if (!kSanitized) {
    EXPECT_LT(reference.losses.back(), 0.8 * reference.losses.front()) << "the loss falls by a fifth";
    EXPECT_LT(reference.eval_losses.back(), reference.eval_losses.front()) << "and so does the validation loss";
  }
  for (const double norm : reference.grad_norms) EXPECT_GT(norm, 0.5) << "clipping is active";
  ASSERT_FALSE(reference.end.empty() || reference.first_gradients.empty());
  for (const auto& [name, end] : reference.end) EXPECT_NE(end, reference.start.at(name)) << name << " does not move";
  for (const auto& [name, gradient] : reference.first_gradients) {
    EXPECT_TRUE(std::any_of(gradient.begin(), gradient.end(), [](float g) { return g != 0; })) << name << " has no gradient";
  }
}

TEST_P(EquivalenceMatrix, ComputesWhatOneRankDoes) {
  const Trajectory reference = Run(OneRank(GetParam().family, GetParam().tied), {.asynchronous = false});
  ExpectInstructive(reference);
  const Difference difference = Compare(reference, Run(GetParam()));
  EXPECT_TRUE(Exceeded(difference).empty());
  std::cout << GetParam().Name() << ": " << difference.ToString() << "\n";
}

// One of each mesh, of those in the cover.
std::vector<Composition> OneOfEachMesh(const std::vector<Composition>& compositions) {
  std::vector<Composition> chosen;
  for (const Composition& c : compositions) {
    if (std::none_of(chosen.begin(), chosen.end(), [&](const Composition& other) { return other.mesh == c.mesh; })) chosen.push_back(c);
  }
  return chosen;
}

std::vector<Composition> Cover() { return kSanitized ? OneOfEachMesh(PairwiseCompositions()) : PairwiseCompositions(); }

// Every two settings that stand together in some composition, counted without the cover's own bookkeeping.
std::set<std::string> PairsOfSettings(const std::vector<Composition>& compositions) {
  std::set<std::string> pairs;
  for (const Composition& c : compositions) {
    const std::string settings[] = {"mesh=" + c.mesh.ToString(), "stage=" + std::to_string(c.zero_stage), c.offload ? "offload" : "no offload",
                                    c.schedule, c.uneven ? "uneven" : "even", "recompute=" + c.recompute,
                                    "micro-batches=" + std::to_string(c.accumulation), c.reshard, c.tied ? "tied" : "untied", c.family};
    for (const std::string& a : settings) {
      for (const std::string& b : settings) pairs.insert(a + ", " + b);
    }
  }
  return pairs;
}

std::string NameOf(const testing::TestParamInfo<Composition>& info) { return info.param.Name(); }

INSTANTIATE_TEST_SUITE_P(Pairs, EquivalenceMatrix, testing::ValuesIn(Cover()), NameOf);
INSTANTIATE_TEST_SUITE_P(Full, EquivalenceMatrix, testing::ValuesIn(FullCompositions()), NameOf);
INSTANTIATE_TEST_SUITE_P(Idle, EquivalenceMatrix, testing::ValuesIn(IdleCompositions()), NameOf);

TEST(EquivalenceMatrixCover, HasEveryPairOfMeaningfulSettings) {
  const std::vector<Composition> all = AllCompositions(), cover = PairwiseCompositions();
  EXPECT_GT(all.size(), 5000u);
  EXPECT_LT(cover.size(), 60u);
  EXPECT_EQ(PairsOfSettings(cover), PairsOfSettings(all));
}

}  // namespace
}  // namespace weft
