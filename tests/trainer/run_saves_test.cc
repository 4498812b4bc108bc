// What of a run's saves is a failure, and what only a warning.
#include "trainer/run_saves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/file.h"
#include "model/params.h"
#include "parallel/thread_communicator.h"
#include "tests/model/tiny_model.h"

namespace weft {
namespace {

using testing::HasSubstr;

class RunSavesTest : public testing::Test {
 protected:
  RunSavesTest() {
    config_.output = StrCat(testing::TempDir(), "/run_saves_test_", ::getpid());
    config_.steps = 10;
    config_.checkpoint.every = 1;
    config_.checkpoint.on_failure = OnSaveFailure::kStop;
    std::filesystem::remove_all(config_.output);
  }
  ~RunSavesTest() override { std::filesystem::remove_all(config_.output); }

  // A folder that cannot be removed, not even by root: its marker is a folder that is not empty.
  void MakeUnremovable(const std::string& name) const {
    WEFT_CHECK_OK(MakeFolders(config_.output + "/checkpoints/" + name + "/complete/inside"));
  }
  bool IsSaved(int64_t step) const {
    return std::filesystem::is_regular_file(StrCat(config_.output, "/checkpoints/step-", step, "/complete"));
  }
  template <typename Do>
  void WithSavesOnTwoRanks(const Do& act) {
    RunThreadRanks(2, [&](Communicator& world) {
      const auto stream = Stream::Create(Device::Cpu());
      const MeshShape mesh = {.dp = 2};
      const ParamStore params(MakeDecoderParams(TinyConfig()).specs, mesh, mesh.CoordOf(world.rank()), Device::Cpu(), {.zero_stage = 1});
      RunSaves saves(config_, params, *stream, world);
      act(saves);
      world.Barrier();
    });
  }

  RunConfig config_;
};

TEST_F(RunSavesTest, WhatCannotBePrunedFailsNoSave) {
  MakeUnremovable("step-99.partial");
  for (const bool asynchronous : {false, true}) {
    config_.checkpoint.asynchronous = asynchronous;
    WithSavesOnTwoRanks([](RunSaves& saves) {
      EXPECT_TRUE(saves.SaveInPassing({.step = 1}).ok());
      EXPECT_TRUE(saves.Complete().ok());
      EXPECT_TRUE(saves.SaveLast({.step = 2}).ok());
    });
    EXPECT_TRUE(IsSaved(1) && IsSaved(2));
  }
  EXPECT_TRUE(std::filesystem::exists(config_.output + "/checkpoints/step-99.partial"));
}

// What is to be moved aside has no place to go, so step 1 cannot be replaced.
TEST_F(RunSavesTest, TheLastSaveMakesUpForOneInFlightThatFailed) {
  WithSavesOnTwoRanks([](RunSaves& saves) { EXPECT_TRUE(saves.SaveLast({.step = 1}).ok()); });
  MakeUnremovable("step-1.replaced");
  WithSavesOnTwoRanks([](RunSaves& saves) {
    EXPECT_TRUE(saves.SaveInPassing({.step = 1}).ok());
    EXPECT_THAT(std::string(saves.Complete().message()), HasSubstr("step 1 is not saved: "));
    EXPECT_TRUE(saves.SaveInPassing({.step = 1}).ok());
    EXPECT_TRUE(saves.SaveLast({.step = 2}).ok());
  });
  EXPECT_TRUE(IsSaved(1) && IsSaved(2));
}

}  // namespace
}  // namespace weft
