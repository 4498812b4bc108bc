// Which folders a run may write into.
#include "trainer/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/str_cat.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

class RunFolder : public testing::Test {
 protected:
  RunFolder() { fs::create_directories(path_); }
  ~RunFolder() override { fs::remove_all(path_); }
  void Put(const std::string& name) const { std::ofstream(path_ + "/" + name) << "mine\n"; }
  const std::string path_ = StrCat(testing::TempDir(), "/run-folder-", ::getpid());
};

TEST_F(RunFolder, MayBeAbsentEmptyOrHoldOtherThings) {
  EXPECT_TRUE(CheckMayHoldRun(path_ + "/absent").ok());
  EXPECT_TRUE(CheckMayHoldRun(path_).ok());
  Put("data.h5");
  Put("run.yaml");
  fs::create_directories(path_ + "/checkpoints");
  EXPECT_TRUE(CheckMayHoldRun(path_).ok());
}

TEST_F(RunFolder, MayNotHoldWhatARunWouldReplaceAndNoRunHasWritten) {
  for (const std::string name : {"config.yaml", "metrics.jsonl", "loss.svg"}) {
    Put(name);
    const Status status = CheckMayHoldRun(path_);
    EXPECT_EQ(ExitCode(status), 2) << name;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("holds a " + name));
    fs::remove(path_ + "/" + name);
  }
}

TEST_F(RunFolder, MayBeAnyRunsOfOurs) {
  Put("config.yaml");
  Put("lock");
  EXPECT_TRUE(CheckMayHoldRun(path_).ok());
  fs::remove(path_ + "/lock");
  fs::create_directories(path_ + "/checkpoints/step-3");
  Put("checkpoints/step-3/complete");
  EXPECT_TRUE(CheckMayHoldRun(path_).ok()) << "copied without its lock";
}

}  // namespace
}  // namespace weft
