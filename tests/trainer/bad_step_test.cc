// Which steps are bad, and what is remembered for it.
#include "trainer/bad_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

StepHistory Losses(const std::vector<double>& losses) { return {.good_losses = losses}; }

TEST(BadStep, WhatIsNoNumberIsBadAndAllElseIsGoodUnlessSpikesAreLookedFor) {
  const StepHistory history = Losses({1, 1, 1});
  for (const double bad : {std::nan(""), kInfinity, -kInfinity}) {
    EXPECT_THAT(WhyBad(bad, 1, history, {.window = 3}), HasSubstr("the loss is"));
    EXPECT_THAT(WhyBad(1, bad, history, {.window = 3}), HasSubstr("and the gradient norm"));
  }
  EXPECT_EQ(WhyBad(1e30, 1e30, history, {.window = 3}), "");
}

TEST(BadStep, ASpikeIsAMultipleOfTheMedian) {
  const BadStepSection config = {.spike_factor = 3, .window = 4};
  const StepHistory history = Losses({100, 1, 2, 4});  // the median is 3, whatever the one large loss is
  EXPECT_EQ(WhyBad(9, 1e30, history, config), "");
  EXPECT_THAT(WhyBad(9.5, 1, history, config),
              HasSubstr("the loss is 9.5, more than 3 times 3, the median of the last 4 good steps"));
  EXPECT_NE(WhyBad(5, 1, Losses({1, 1.5, 7}), {.spike_factor = 3, .window = 3}), "");
  EXPECT_EQ(WhyBad(4, 1, Losses({1, 1.5, 7}), {.spike_factor = 3, .window = 3}), "");
}

TEST(BadStep, NoLossIsASpikeBeforeTheWindowIsFull) {
  EXPECT_EQ(WhyBad(1e9, 1, Losses({1, 1}), {.spike_factor = 3, .window = 3}), "");
  EXPECT_NE(WhyBad(1e9, 1, Losses({1, 1, 1}), {.spike_factor = 3, .window = 3}), "");
}

TEST(BadStep, OfALongerHistoryTheNewestLossesCount) {
  EXPECT_NE(WhyBad(5, 1, Losses({9, 9, 9, 1, 1}), {.spike_factor = 3, .window = 2}), "");
}

TEST(StepHistory, KeepsTheNewestGoodLossesAndCountsSkippedSteps) {
  StepHistory history;
  for (const double loss : {5.0, 4.0, 3.0}) history.AddGood(loss, 2);
  EXPECT_THAT(history.good_losses, ElementsAre(4, 3));
  history.AddSkipped();
  history.AddSkipped();
  EXPECT_EQ(history.num_skipped_in_a_row, 2);
  history.AddGood(2, 2);
  EXPECT_EQ(history.num_skipped_in_a_row, 0);
  EXPECT_EQ(history.num_skipped, 2);
  EXPECT_THAT(history.good_losses, ElementsAre(3, 2));
}

TEST(StepHistory, ComesBackBitForBit) {
  const StepHistory history = {.good_losses = {1.0 / 3, 2.5, 5e-324, 1.7976931348623157e308}, .num_skipped = 7, .num_skipped_in_a_row = 2};
  const StatusOr<StepHistory> read = StepHistory::FromJson(history.ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->good_losses, history.good_losses);
  EXPECT_EQ(read->num_skipped, 7);
  EXPECT_EQ(read->num_skipped_in_a_row, 2);
  EXPECT_TRUE(StepHistory::FromJson("")->good_losses.empty()) << "a checkpoint of before";
}

TEST(StepHistory, RefusesWhatIsNone) {
  for (const char* text : {"{", "[]", "{}", R"({"good_losses": 1, "num_skipped": 0, "num_skipped_in_a_row": 0})",
                           R"({"good_losses": ["a"], "num_skipped": 0, "num_skipped_in_a_row": 0})",
                           R"({"good_losses": [], "num_skipped": -1, "num_skipped_in_a_row": 0})",
                           R"({"good_losses": [], "num_skipped": 0, "num_skipped_in_a_row": 1.5})", R"({"good_losses": [1e999]})"}) {
    EXPECT_FALSE(StepHistory::FromJson(text).ok()) << text;
  }
}

}  // namespace
}  // namespace weft
