// Log lines: who prints, and with which label (core/log.h).
#include "core/log.h"

#include <gtest/gtest.h>

#include <thread>

namespace weft {
namespace {

// What a thread of `label` writes to stderr. A thread of its own, because the label stays with a thread.
template <typename Work>
std::string StderrOf(RankLabel label, Work work) {
  testing::internal::CaptureStderr();
  std::thread([&] {
    SetCurrentRank(label);
    work();
  }).join();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, InfoComesFromRankZeroAlone) {
  EXPECT_EQ(StderrOf({}, [] { LogInfo("step ", 3); }), "step 3\n");
  EXPECT_EQ(StderrOf({.rank = 1, .label = "rank 1"}, [] { LogInfo("step ", 3); }), "");
}

TEST(Log, WarningsAndErrorsComeFromAnyRankWithItsLabel) {
  EXPECT_EQ(StderrOf({}, [] { LogWarning("slow"); }), "weft: warning: slow\n");
  EXPECT_EQ(StderrOf({.rank = 1, .label = "rank 1 (dp1)"}, [] { LogError("lost"); }),
            "weft: error: [rank 1 (dp1)] lost\n");
}

TEST(Log, ALabelBelongsToItsThread) {
  StderrOf({.rank = 9, .label = "rank 9"}, [] {});
  EXPECT_EQ(CurrentRank().rank, 0);
}

}  // namespace
}  // namespace weft
