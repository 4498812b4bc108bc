// Failed checks: what they print, and that they cost nothing else (core/check.h).
#include "core/check.h"

#include <gtest/gtest.h>

#include "core/log.h"
#include "core/status.h"

namespace weft {
namespace {

TEST(Check, PassesWithoutEvaluatingItsMessage) {
  int evaluations = 0;
  WEFT_CHECK(true) << ++evaluations;
  WEFT_CHECK_EQ(1, 1) << ++evaluations;
  WEFT_CHECK_OK(absl::OkStatus());
  EXPECT_EQ(evaluations, 0);
}

TEST(Check, EvaluatesItsConditionOnce) {
  int evaluations = 0;
  WEFT_CHECK(++evaluations == 1);
  EXPECT_EQ(evaluations, 1);
}

TEST(Check, IsOneStatement) {
  bool reached_else = false;
  if (false)
    WEFT_CHECK(false);
  else
    reached_else = true;
  EXPECT_TRUE(reached_else);
}

TEST(CheckDeathTest, PrintsPlaceConditionValuesAndMessage) {
  const int rows = 3;
  EXPECT_DEATH(WEFT_CHECK(rows == 4) << "of the table", "check_test.cc:[0-9]+: check failed: rows == 4 of the table");
  EXPECT_DEATH(WEFT_CHECK_EQ(rows, 4), "\\(3 vs 4\\)");
  EXPECT_DEATH(WEFT_CHECK_NE(rows, 3), "\\(3 vs 3\\)");
  EXPECT_DEATH(WEFT_CHECK_LT(rows, 3), "\\(3 vs 3\\)");
  EXPECT_DEATH(WEFT_CHECK_LE(rows, 2), "\\(3 vs 2\\)");
  EXPECT_DEATH(WEFT_CHECK_GT(rows, 3), "\\(3 vs 3\\)");
  EXPECT_DEATH(WEFT_CHECK_GE(rows, 4), "\\(3 vs 4\\)");
}

TEST(CheckDeathTest, PrintsTheStatusThatIsNotOk) {
  EXPECT_DEATH(WEFT_CHECK_OK(UserError("no key ", "lr")), "no key lr");
  EXPECT_DEATH(WEFT_CHECK_OK(StatusOr<int>(DataError("short file"))), "short file");
}

TEST(CheckDeathTest, NamesTheRank) {
  EXPECT_DEATH(
      {
        SetCurrentRank({.rank = 3, .label = "rank 3 (pp0 dp1 tp1)"});
        WEFT_CHECK(false);
      },
      "\\[rank 3 \\(pp0 dp1 tp1\\)\\]");
}

}  // namespace
}  // namespace weft
