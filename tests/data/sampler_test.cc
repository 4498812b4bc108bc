// The sampler: a permutation for every size, different for each epoch and seed, uniform over seeds.
#include "data/sampler.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(SamplerTest, IsAPermutationForEverySize) {
  for (int64_t n = 1; n <= 2000; n += n < 70 ? 1 : 61) {
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<bool> seen(n);
      for (int64_t i = 0; i < n; ++i) {
        const int64_t image = PermutedIndex(7, epoch, n, i);
        ASSERT_TRUE(image >= 0 && image < n);
        ASSERT_FALSE(seen[image]) << image << " twice, n " << n;
        seen[image] = true;
      }
    }
  }
}

TEST(SamplerTest, EpochsAndSeedsDiffer) {
  int same_epoch = 0, same_seed = 0, fixed = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    same_epoch += PermutedIndex(1, 0, 1000, i) == PermutedIndex(1, 1, 1000, i);
    same_seed += PermutedIndex(1, 0, 1000, i) == PermutedIndex(2, 0, 1000, i);
    fixed += PermutedIndex(1, 0, 1000, i) == i;
  }
  // One is expected for random permutations; ten has a chance of one in ten million.
  EXPECT_LT(same_epoch, 10);
  EXPECT_LT(same_seed, 10);
  EXPECT_LT(fixed, 10);
}

TEST(SamplerTest, PlacesAreUniformOverSeeds) {
  constexpr int kSeeds = 8000, kPlaces = 8;
  for (int64_t index = 0; index < kPlaces; ++index) {
    std::vector<int> counts(kPlaces);
    for (uint64_t seed = 0; seed < kSeeds; ++seed) ++counts[PermutedIndex(seed, 0, kPlaces, index)];
    for (int count : counts) EXPECT_NEAR(count, kSeeds / kPlaces, 6 * 30);  // six standard deviations
  }
}

TEST(SamplerTest, SamplesRunThroughEpochs) {
  for (int64_t sample : {0, 9, 10, 25}) {
    EXPECT_EQ(SequenceAt(3, 10, sample), PermutedIndex(3, sample / 10, 10, sample % 10));
  }
}

TEST(SourceAtTest, DealsEachSourceItsShareAndEachOfItsSamplesOnce) {
  const std::vector<std::vector<int64_t>> mixtures = {{1}, {3, 1}, {1, 3}, {1, 2, 3, 4}, {7, 7, 7}, {1000, 1, 10}, {1, 1, 1, 1, 1000}};
  for (const std::vector<int64_t>& weights : mixtures) {
    const int64_t total = std::accumulate(weights.begin(), weights.end(), int64_t{0});
    std::vector<int64_t> next(weights.size());  // sample of each source
    for (int64_t sample = 0; sample < 20 * total; ++sample) {
      const SourceSample drawn = SourceAt(weights, sample);
      ASSERT_EQ(drawn.sample, next[drawn.source]++) << "in order, none left out";
      for (size_t source = 0; source < weights.size(); ++source) {
        const double share = static_cast<double>((sample + 1) * weights[source]) / static_cast<double>(total);
        ASSERT_NEAR(static_cast<double>(next[source]), share, static_cast<double>(source) + 1) << sample << ", source " << source;
        if ((sample + 1) % total == 0) {
          ASSERT_EQ(next[source], (sample + 1) / total * weights[source]);
        }
      }
    }
  }
}

TEST(SourceAtTest, StaysExactOverTheLongestRuns) {
  const std::vector<int64_t> weights = {999999, 1000000, 3};
  const int64_t total = 2000002, rounds = int64_t{1} << 40, begin = rounds * total;
  std::vector<int64_t> counts(3);
  for (int64_t sample = 0; sample < total; ++sample) {
    const SourceSample here = SourceAt(weights, sample), later = SourceAt(weights, begin + sample);
    ASSERT_EQ(later, (SourceSample{here.source, here.sample + rounds * weights[here.source]}));
    ++counts[here.source];
  }
  EXPECT_EQ(counts, weights);
}

}  // namespace
}  // namespace weft
