// The sampler: a permutation for every size, different for each epoch and seed, uniform over seeds.
#include "data/sampler.h"

#include <cstdint>
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

}  // namespace
}  // namespace weft
