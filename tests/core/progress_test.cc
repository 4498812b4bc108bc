// Figures for people, and the progress line where stderr is no terminal (core/progress.h).
#include "core/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Progress, Durations) {
  EXPECT_EQ(HumanDuration(0.42), "0.4 s");
  EXPECT_EQ(HumanDuration(12), "12 s");
  EXPECT_EQ(HumanDuration(59.6), "1 min 00 s");
  EXPECT_EQ(HumanDuration(200), "3 min 20 s");
  EXPECT_EQ(HumanDuration(3720), "1 h 02 min");
  EXPECT_EQ(HumanDuration(360000), "100 h 00 min");
}

TEST(Progress, Bytes) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(340 * 1024), "340.0 KiB");
  EXPECT_EQ(HumanBytes(1.2 * (1 << 30)), "1.2 GiB");
  EXPECT_EQ(HumanBytes(5e15), "4547.5 TiB");
}

TEST(Progress, Counts) {
  EXPECT_EQ(HumanCount(450), "450");
  EXPECT_EQ(HumanCount(1230000), "1.23 M");
  EXPECT_EQ(HumanCount(2.5e9), "2.50 G");
}

TEST(Progress, WhatWasDoneBeforeHasNoPartInTheRate) {
  testing::internal::CaptureStderr();
  {
    Progress progress("tokenizing", 200, "bytes");
    progress.Skip(150);
    progress.Skip(-50);  // some of it has to be done again
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("]  50 %  0 bytes/s"));
}

TEST(Progress, ShortWorkEndsWithOneLine) {
  testing::internal::CaptureStderr();
  {
    Progress progress("tokenizing", 200, "bytes");
    progress.Advance(50);
    progress.Advance(50);
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("tokenizing \\[#{14}\\.{14}\\]  50 %  .* bytes/s  in .* s\n"));
}

}  // namespace
}  // namespace weft
