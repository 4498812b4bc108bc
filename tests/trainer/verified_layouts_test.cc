// The list of layouts that a run's folder has seen.
#include "trainer/verified_layouts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace weft {
namespace {

RunConfig Config() {
  RunConfig config;
  config.gradient_accumulation_steps = 8;
  return config;
}

class VerifiedLayouts : public testing::Test {
 protected:
  VerifiedLayouts() { std::filesystem::remove_all(folder_); }
  ~VerifiedLayouts() override { std::filesystem::remove_all(folder_); }
  const std::string folder_ = StrCat(testing::TempDir(), "/verified_layouts_test_", ::getpid());
};

TEST_F(VerifiedLayouts, RemembersEachOnItsOwn) {
  EXPECT_FALSE(FindVerified(folder_, "{\"mesh\":\"a\"}").has_value());
  for (const std::string layout : {"{\"mesh\":\"a\"}", "{\"mesh\":\"b\"}"}) {
    const Status added = AddVerified(folder_, layout, {.loss = 1e-7});
    ASSERT_TRUE(added.ok()) << added;
    EXPECT_EQ(FindVerified(folder_, layout).value().loss, 1e-7);
  }
  EXPECT_TRUE(FindVerified(folder_, "{\"mesh\":\"a\"}").has_value());
  EXPECT_FALSE(FindVerified(folder_, "{\"mesh\":\"c\"}").has_value());
}

TEST_F(VerifiedLayouts, ADamagedListHoldsWhatCanBeRead) {
  ASSERT_TRUE(AddVerified(folder_, "{\"mesh\":\"a\"}", {}).ok());
  std::ofstream(folder_ + "/verified.jsonl", std::ios::app) << "{\"layout\": {\"mesh\n[]\n{\"layout\":{\"mesh\":\"b\"}}\n";
  EXPECT_TRUE(FindVerified(folder_, "{\"mesh\":\"a\"}").has_value());
  EXPECT_FALSE(FindVerified(folder_, "{\"mesh\":\"b\"}").has_value());
}

TEST_F(VerifiedLayouts, AFolderThatCannotBeMadeIsAnError) {
  std::ofstream(folder_) << "a file";
  EXPECT_FALSE(AddVerified(folder_, "{}", {}).ok());
}

TEST_F(VerifiedLayouts, WhateverShapesALayoutIsPartOfItsDescription) {
  std::set<std::string> descriptions = {DescribeLayout(Config(), {.dp = 2}, Device::Cpu())};
  const auto add = [&descriptions](auto change) {
    RunConfig config = Config();
    change(config);
    EXPECT_TRUE(descriptions.insert(DescribeLayout(config, {.dp = 2}, Device::Cpu())).second) << *descriptions.rbegin();
  };
  add([](RunConfig& c) { c.parallel.schedule = ScheduleType::kGPipe; });
  add([](RunConfig& c) { c.parallel.interleave = 2; });
  add([](RunConfig& c) { c.parallel.blocks_per_stage = {1, 2}; });
  add([](RunConfig& c) { c.zero_optimization.stage = 1; });
  add([](RunConfig& c) { c.zero_optimization.reshard = Reshard::kPerUse; });
  add([](RunConfig& c) { c.zero_optimization.prefetch = 2; });
  add([](RunConfig& c) { c.zero_optimization.offload_optimizer.device = OffloadDevice::kCpu; });
  add([](RunConfig& c) { c.recompute = Recompute::kBlock; });
  add([](RunConfig& c) { c.precision = Precision::kBf16; });
  add([](RunConfig& c) { c.gradient_accumulation_steps = 1; });
  EXPECT_TRUE(descriptions.insert(DescribeLayout(Config(), {.tp = 2}, Device::Cpu())).second);
  EXPECT_TRUE(descriptions.insert(DescribeLayout(Config(), {.dp = 2}, Device::Cuda(0))).second);
  RunConfig other = Config();
  other.optimizer.params.lr = 5;
  other.steps = 77;
  EXPECT_FALSE(descriptions.insert(DescribeLayout(other, {.dp = 2}, Device::Cpu())).second) << "what is trained is no layout";
}

}  // namespace
}  // namespace weft
