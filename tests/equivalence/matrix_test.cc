// The equivalence matrix: every composition of parallelism, sharding, offload, schedule and recomputation computes what
// one rank does. Thread ranks with asynchronous queues and random delays; f32; a cover of all pairs of settings.
//
// Under a sanitizer each step is some ten times slower: there only the full compositions and one of each mesh run.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "tests/equivalence/composition.h"
#include "tests/equivalence/corpus.h"
#include "tests/equivalence/pairwise_cover.h"
#include "tests/equivalence/trajectory.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class EquivalenceMatrix : public testing::TestWithParam<Composition> {
 protected:
  EquivalenceMatrix() : config_(scratch_.path() + "/run.yaml") {
    const std::string corpus = scratch_.path() + "/corpus.h5";
    WriteUnevenCorpus(corpus);
    WriteEquivalenceConfig(config_, corpus, scratch_.path() + "/run");
  }

  RunConfig ConfigOf(const Composition& composition) const {
    std::vector<std::string> keys = composition.ModelKeys();
    for (const std::string& key : composition.LayoutKeys()) keys.push_back(key);
    return ReadEquivalenceConfig(config_, keys, composition.mesh.size());
  }
  Trajectory Run(const Composition& composition, const RunOptions& options = {}) const {
    return RunOnThreads(ConfigOf(composition), composition.mesh.size(), options);
  }

  const ScratchFolder scratch_;
  const std::string config_;
};

// What makes the comparison worth something: the reference learns, is clipped, and everything it has moves.
void ExpectInstructive(const Trajectory& reference) {
  ASSERT_EQ(reference.losses.size(), static_cast<size_t>(kEquivalenceSteps));
  EXPECT_LT(reference.losses.back(), 0.8 * reference.losses.front()) << "the loss falls by a fifth";
  EXPECT_GT(reference.grad_norms.front(), 0.5) << "clipping is active";
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

std::string NameOf(const testing::TestParamInfo<Composition>& info) { return info.param.Name(); }

INSTANTIATE_TEST_SUITE_P(Pairs, EquivalenceMatrix, testing::ValuesIn(Cover()), NameOf);

}  // namespace
}  // namespace weft
