// Which folders a run may write into, what it leaves there, and who sees it.
#include "trainer/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/str_cat.h"
#include "trainer/run_lock.h"

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
  for (const std::string name : {"config.yaml", "metrics.jsonl", "loss.svg", "lock"}) {
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
  EXPECT_FALSE(CheckMayHoldRun(path_).ok()) << "a lock of the user's own";
  std::ofstream(path_ + "/lock") << "process 1 on host n1\n";
  EXPECT_TRUE(CheckMayHoldRun(path_).ok());
  fs::remove(path_ + "/lock");
  fs::create_directories(path_ + "/checkpoints/step-3");
  Put("checkpoints/step-3/complete");
  EXPECT_TRUE(CheckMayHoldRun(path_).ok()) << "copied without its lock";
}

TEST_F(RunFolder, KeepsACourseWithItsMetrics) {
  for (const char* name : {"/checkpoints.old-1", "/checkpoints.old-3", "/checkpoints.old-x"}) fs::create_directories(path_ + name);
  fs::create_directories(path_ + "/checkpoints/step-7");
  Put("metrics.jsonl");
  const StatusOr<std::string> left = LeaveCourse(path_);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(*left, path_ + "/checkpoints.old-4");
  EXPECT_TRUE(fs::exists(*left + "/step-7"));
  EXPECT_TRUE(fs::exists(*left + "/metrics.jsonl"));
  EXPECT_TRUE(fs::exists(path_ + "/metrics.jsonl"));
  EXPECT_FALSE(fs::exists(path_ + "/checkpoints"));
  EXPECT_EQ(LeftCourses(path_), (std::vector<std::string>{*left, path_ + "/checkpoints.old-3", path_ + "/checkpoints.old-1"}));
}

TEST_F(RunFolder, IsSharedWhereTheLockOfTheWriterIsSeen) {
  const StatusOr<RunLock> lock = RunLock::Take(path_);
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_TRUE(AwaitLock(path_, lock->holder(), 0).ok());
  const Status other = AwaitLock(path_, "process 1 on host elsewhere\n", 0.01);
  EXPECT_THAT(std::string(other.message()), testing::HasSubstr("all hosts must share it"));
  EXPECT_EQ(ExitCode(AwaitLock(path_ + "/absent", lock->holder(), 0.01)), 2);
}

}  // namespace
}  // namespace weft
