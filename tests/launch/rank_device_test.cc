// Ranks on devices that do not fit together are refused by name.
#include "launch/rank_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parallel/nccl_communicator.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string Problem(const std::vector<RankDevice>& by_rank) { return std::string(CheckDevices(by_rank).message()); }

TEST(CheckDevices, TakesCpusAndOneGpuEach) {
  EXPECT_EQ(Problem({{0, ""}, {0, ""}, {2, ""}}), "");
  EXPECT_EQ(Problem({{0, "0000:1b:00.0"}}), "");
  if (!NcclIsBuiltIn()) GTEST_SKIP() << "several CUDA ranks need NCCL, which this build lacks";
  EXPECT_EQ(Problem({{0, "0000:1b:00.0"}, {0, "0000:2b:00.0"}, {2, "0000:1b:00.0"}}), "");
}

TEST(CheckDevices, NamesRanksOnOneGpu) {
  const std::string problem = Problem({{0, "0000:1b:00.0"}, {0, "0000:2b:00.0"}, {0, "0000:1b:00.0"}});
  EXPECT_THAT(problem, HasSubstr("ranks 0 and 2 are on one GPU (0000:1b:00.0"));
  EXPECT_THAT(problem, HasSubstr("no more ranks on a host than it has GPUs"));
}

TEST(CheckDevices, NamesARankWithoutGpuAmongOthers) {
  EXPECT_THAT(Problem({{0, "0000:1b:00.0"}, {1, ""}}), HasSubstr("rank 0 computes on a GPU and rank 1 on the CPU"));
  EXPECT_THAT(Problem({{0, ""}, {1, "0000:1b:00.0"}}), HasSubstr("rank 0 computes on the CPU and rank 1 on a GPU"));
}

TEST(CheckDevices, SaysThatNcclIsMissing) {
  if (NcclIsBuiltIn()) GTEST_SKIP() << "this build has NCCL";
  EXPECT_THAT(Problem({{0, "0000:1b:00.0"}, {0, "0000:2b:00.0"}}), HasSubstr("2 ranks on CUDA need NCCL"));
}

}  // namespace
}  // namespace weft
