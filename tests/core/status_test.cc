// Errors that a user or the world can cause: messages, context, macros, exit codes (core/status.h).
#include "core/status.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Status, JoinsTheMessageAndKeepsTheKind) {
  const Status user = UserError("lr is ", -1, std::string_view(", expected more than 0"));
  EXPECT_EQ(user.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ToStd(user.message()), "lr is -1, expected more than 0");
  EXPECT_EQ(DataError("short").code(), absl::StatusCode::kDataLoss);
}

TEST(Status, ContextIsPutBeforeAndLeavesOkAlone) {
  const Status status = WithContext(DataError("short"), "shard 3");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ToStd(status.message()), "shard 3: short");
  EXPECT_TRUE(WithContext(absl::OkStatus(), "shard 3").ok());
}

TEST(Status, ExitCodeIsTwoForWhatTheUserCanMend) {
  EXPECT_EQ(ExitCode(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCode(UserError("")), 2);
  EXPECT_EQ(ExitCode(DataError("")), 2);
  EXPECT_EQ(ExitCode(absl::NotFoundError("")), 2);
  EXPECT_EQ(ExitCode(absl::InternalError("")), 1);
  EXPECT_EQ(ExitCode(absl::UnavailableError("")), 1);
}

Status FailIf(bool fails) { return fails ? UserError("failed") : absl::OkStatus(); }

Status ReturnsEarly(bool fails, bool& went_on) {
  WEFT_RETURN_IF_ERROR(FailIf(fails));
  went_on = true;
  return absl::OkStatus();
}

TEST(Status, ReturnIfErrorReturnsOnlyErrors) {
  bool went_on = false;
  EXPECT_EQ(ToStd(ReturnsEarly(true, went_on).message()), "failed");
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(ReturnsEarly(false, went_on).ok());
  EXPECT_TRUE(went_on);
}

StatusOr<std::unique_ptr<int>> Make(int value) {
  if (value < 0) return UserError("negative");
  return std::make_unique<int>(value);
}

StatusOr<int> Sum(int a, int b) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, Make(a));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<int> second, Make(b));
  return *first + *second;
}

TEST(Status, AssignOrReturnMovesTheValueOrReturnsTheError) {
  EXPECT_EQ(*Sum(1, 2), 3);
  EXPECT_EQ(ToStd(Sum(1, -2).status().message()), "negative");
}

}  // namespace
}  // namespace weft
