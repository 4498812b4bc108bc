// The validation split: the fraction asked for, neither side empty, equal documents on the same side.
#include "data/validation_split.h"

#include <numeric>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;

TEST(ValidationSplitTest, TakesTheFraction) {
  std::vector<uint64_t> hashes;
  for (int i = 0; i < 20000; ++i) hashes.push_back(ContentHash("document " + std::to_string(i)));
  const auto validation = ChooseValidation(hashes, 0.1);
  EXPECT_NEAR(std::accumulate(validation.begin(), validation.end(), 0), 2000, 250);
}

TEST(ValidationSplitTest, LeavesNeitherSideEmpty) {
  const uint64_t low = 1, high = UINT64_MAX;
  EXPECT_THAT(ChooseValidation({high, high - 5}, 0.01), ElementsAre(0, 1));
  EXPECT_THAT(ChooseValidation({low, low + 1}, 0.99), ElementsAre(1, 0));
  EXPECT_THAT(ChooseValidation({low, high}, 0), ElementsAre(0, 0));
  EXPECT_THAT(ChooseValidation({low}, 0.5), ElementsAre(0));
}

TEST(ValidationSplitTest, AThresholdSplitsAsTheHashesItIsOf) {
  const std::vector<uint64_t> hashes = {7, UINT64_MAX / 4, UINT64_MAX / 2, UINT64_MAX};
  for (const double fraction : {0.0, 0.01, 0.3, 0.99}) {
    EXPECT_EQ(BelowThreshold(hashes, ValidationThreshold(7, UINT64_MAX, fraction)), ChooseValidation(hashes, fraction));
  }
  EXPECT_EQ(ValidationThreshold(7, 7, 0.5), 0u);
}

TEST(ValidationSplitTest, EqualDocumentsStayTogether) {
  EXPECT_THAT(ChooseValidation({7, 7, 7}, 0.5), ElementsAre(0, 0, 0));
  EXPECT_THAT(ChooseValidation({7, 9, 7, 9}, 0.001), ElementsAre(1, 0, 1, 0));
}

}  // namespace
}  // namespace weft
