// Joining pieces of any string type (core/str_cat.h).
#include "core/str_cat.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(StrCat, TakesEveryKindOfStringAndNumbers) {
  EXPECT_EQ(StrCat("a", std::string("b"), std::string_view("c"), absl::string_view("d"), 1, 2.5), "abcd12.5");
  EXPECT_EQ(StrCat(), "");
  std::string text = "x";
  StrAppend(&text, std::string_view("y"), 3);
  EXPECT_EQ(text, "xy3");
}

TEST(StrCat, ViewsConvertBothWays) {
  const std::string with_zero("a\0b", 3);
  EXPECT_EQ(ToStd(ToAbsl(with_zero)), with_zero);
}

}  // namespace
}  // namespace weft
