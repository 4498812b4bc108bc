// Sampling: ties, distributions, nucleus and top-k, and that a seed repeats itself.
#include "inference/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace weft {
namespace {

using testing::HasSubstr;

// Shares of 20,000 draws.
std::map<int32_t, double> Shares(const SamplingOptions& options, const std::vector<float>& logits) {
  constexpr int kDraws = 20000;
  std::map<int32_t, double> shares;
  for (int step = 0; step < kDraws; ++step) shares[SampleToken(options, logits, step)] += 1.0 / kDraws;
  return shares;
}

std::vector<float> Logits(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 3));
  return logits;
}

TEST(SampleToken, WithoutTemperatureTakesTheLowestOfTheMostLikely) {
  EXPECT_EQ(SampleToken({.temperature = 0}, std::vector<float>{1, 7, -2, 7, 7}, 5), 1);
  EXPECT_EQ(SampleToken({.temperature = 0}, std::vector<float>{-1}, 0), 0);
}

TEST(SampleToken, DrawsByProbability) {
  const auto shares = Shares({.seed = 3}, Logits({0.1, 0.6, 0.3}));
  EXPECT_NEAR(shares.at(0), 0.1, 0.015);
  EXPECT_NEAR(shares.at(1), 0.6, 0.015);
  EXPECT_NEAR(shares.at(2), 0.3, 0.015);
}

TEST(SampleToken, SharpensAndFlattensWithTemperature) {
  EXPECT_NEAR(Shares({.temperature = 0.5}, Logits({0.25, 0.75})).at(1), 0.9, 0.015);  // squares: 1 to 9
  EXPECT_NEAR(Shares({.temperature = 100}, Logits({0.25, 0.75})).at(1), 0.5, 0.015);
  EXPECT_EQ(Shares({.temperature = 1e-300}, Logits({0.25, 0.75})).size(), 1u);
}

TEST(SampleToken, KeepsTheNucleus) {
  const std::vector<float> logits = Logits({0.1, 0.5, 0.1, 0.3});
  const auto two = Shares({.top_p = 0.7}, logits);
  EXPECT_EQ(two.size(), 2u);
  EXPECT_NEAR(two.at(1), 0.5 / 0.8, 0.015);
  EXPECT_EQ(Shares({.top_p = 0.45}, logits).size(), 1u);
  EXPECT_EQ(Shares({.top_p = 1e-9}, logits).size(), 1u);
}

TEST(SampleToken, KeepsTheTopKLowestIdsFirst) {
  const std::vector<float> logits = Logits({0.2, 0.4, 0.2, 0.2});
  const auto two = Shares({.top_k = 2}, logits);
  EXPECT_EQ(two.size(), 2u);
  EXPECT_TRUE(two.contains(0) && two.contains(1));
  EXPECT_EQ(Shares({.top_k = 100}, logits).size(), 4u);
  EXPECT_EQ(Shares({.top_p = 0.6, .top_k = 2}, logits).size(), 1u) << "of the two, the first has two thirds";
}

TEST(SampleToken, RepeatsItselfWithItsSeedAlone) {
  const std::vector<float> logits(50, 0.0f);
  const auto draws = [&](uint64_t seed) {
    std::vector<int32_t> tokens;
    for (int step = 0; step < 20; ++step) tokens.push_back(SampleToken({.seed = seed}, logits, step));
    return tokens;
  };
  EXPECT_EQ(draws(1), draws(1));
  EXPECT_NE(draws(1), draws(2));
}

TEST(CheckSampling, NamesWhatIsOutOfRange) {
  EXPECT_TRUE(CheckSampling({}).ok());
  EXPECT_TRUE(CheckSampling({.temperature = 0, .top_p = 1e-3, .top_k = 5}).ok());
  EXPECT_THAT(CheckSampling({.temperature = -1}).message(), HasSubstr("temperature"));
  EXPECT_THAT(CheckSampling({.temperature = NAN}).message(), HasSubstr("temperature"));
  EXPECT_THAT(CheckSampling({.top_p = 0}).message(), HasSubstr("top_p"));
  EXPECT_THAT(CheckSampling({.top_p = 1.5}).message(), HasSubstr("top_p"));
  EXPECT_THAT(CheckSampling({.top_k = -1}).message(), HasSubstr("top_k"));
}

}  // namespace
}  // namespace weft
