// Whoever is killed while a checkpoint takes its place leaves one that can be found, whole and none too old: tried before
// every system call that PublishCheckpoint makes (ptrace(2)).
#include "checkpoint/checkpoint_folders.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "core/file.h"
#include "parallel/thread_communicator.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// A tensor [4] that holds `value` everywhere.
void Save(const std::string& run, int64_t step, float value) {
  Tensor tensor({4}, DType::kF32);
  std::fill_n(tensor.data<float>(), 4, value);
  const auto self = MakeSelfCommunicator();
  WEFT_CHECK_OK(SaveCheckpoint(run, {.step = step}, {{"weights/vector", {4}, 0, 4, 0, 1, tensor.view()}}, *self));
}

// Of the newest checkpoint, every byte of which is read.
float NewestValue(const std::string& run) {
  const StatusOr<std::string> newest = FindCheckpoint(run);
  EXPECT_TRUE(newest.ok()) << newest.status();
  if (!newest.ok()) return -1;
  const Status marked = CheckMarker(*newest);
  EXPECT_TRUE(marked.ok()) << marked;
  Tensor tensor({4}, DType::kF32);
  const Status loaded = LoadCheckpointPieces(*newest, {{"weights/vector", {4}, 0, 4, 0, 1, tensor.view()}});
  EXPECT_TRUE(loaded.ok()) << loaded;
  const float* values = tensor.data<float>();
  EXPECT_TRUE(std::all_of(values, values + 4, [values](float value) { return value == values[0]; }));
  return values[0];
}

enum class End { kByItself, kKilled };

// PublishCheckpoint in a process of its own, which is killed where it enters or leaves a system call for the `nth` time.
End PublishUntilCall(const std::string& run, int64_t step, int nth) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    _exit(PublishCheckpoint(run, step).ok() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  for (int stop = 0; stop < nth && WIFSTOPPED(status); ++stop) {
    EXPECT_EQ(ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
    EXPECT_EQ(waitpid(child, &status, 0), child);
  }
  if (!WIFSTOPPED(status)) {
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "wait status " << status;
    return End::kByItself;
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return End::kKilled;
}

constexpr float kOld = 1, kReplaced = 2, kNew = 3;

class KilledPublish : public testing::TestWithParam<bool> {  // whether a checkpoint of the same step stands there
 protected:
  // Checkpoints as they are just before the new one of step 2 takes its place.
  std::string ReadyToPublish() const {
    const std::string run = folder_.path() + "/ready";
    Save(run, 1, kOld);
    if (GetParam()) Save(run, 2, kReplaced);
    const std::string other = folder_.path() + "/other";
    Save(other, 2, kNew);
    fs::remove(StepFolder(other, 2) + "/complete");
    fs::rename(StepFolder(other, 2), PartialFolder(run, 2));
    return run;
  }
  std::string CopyOf(const std::string& run, const std::string& name) const {
    const std::string copy = folder_.path() + "/" + name;
    fs::remove_all(copy);
    fs::copy(run, copy, fs::copy_options::recursive);
    return copy;
  }
  const TemporaryFolder folder_;
};

TEST_P(KilledPublish, LeavesAWholeCheckpointAtEveryMoment) {
  const std::string ready = ReadyToPublish();
  const float before = GetParam() ? kReplaced : kOld;
  float newest = before;
  int num_kills = 0;
  for (int nth = 1;; nth += 2) {  // left one call is the same as entering the next
    const std::string run = CopyOf(ready, "run");
    const End end = PublishUntilCall(run, 2, nth);
    SCOPED_TRACE(testing::Message() << "system call " << nth / 2);
    const float found = NewestValue(run);
    EXPECT_TRUE(found == newest || found == kNew) << found << " after " << newest;
    newest = found;
    if (end == End::kByItself || HasFailure()) break;
    ++num_kills;
    const std::string pruned = CopyOf(run, "pruned");
    ASSERT_TRUE(PruneCheckpoints(pruned, {}).ok());
    EXPECT_EQ(NewestValue(pruned), found);
    fs::remove_all(PartialFolder(run, 2));  // the run goes on and comes to the same save again
    fs::copy(PartialFolder(ready, 2), PartialFolder(run, 2));
    ASSERT_TRUE(PublishCheckpoint(run, 2).ok());
    EXPECT_EQ(NewestValue(run), kNew);
  }
  EXPECT_EQ(newest, kNew);
  EXPECT_GT(num_kills, 10);
  std::printf("killed before each of %d system calls\n", num_kills);
}

INSTANTIATE_TEST_SUITE_P(All, KilledPublish, testing::Bool(),
                         [](const auto& info) { return info.param ? "Replacing" : "BesideAnOlderOne"; });

// Other programs call theirs step-N, too, and people put things aside.
TEST(Folders, OfSomebodyElseStay) {
  const TemporaryFolder run;
  const std::string checkpoints = run.path() + "/checkpoints/";
  for (const char* name : {"step-1/", "step-2.partial/", "step-3/"}) {
    fs::create_directories(checkpoints + name);
    WEFT_CHECK_OK(WriteFileAtomically(checkpoints + name + "model.bin", "mine"));
  }
  fs::create_directories(checkpoints + "step-4.partial");
  WEFT_CHECK_OK(WriteFileAtomically(checkpoints + "step-4.partial/rank-0.h5", "half of one of ours"));
  EXPECT_FALSE(HasUnfinished(run.path()));
  Save(run.path(), 5, 1.0f);
  WEFT_CHECK_OK(PruneCheckpoints(run.path(), {.newest = 1}));
  EXPECT_EQ(NewestValue(run.path()), 1.0f);
  for (const char* name : {"step-1/", "step-2.partial/", "step-3/"}) EXPECT_TRUE(fs::exists(checkpoints + name + "model.bin")) << name;
  EXPECT_FALSE(fs::exists(checkpoints + "step-4.partial"));
  // Nor does a save take their place.
  Tensor tensor({4}, DType::kF32);
  const auto self = MakeSelfCommunicator();
  const Status saved = SaveCheckpoint(run.path(), {.step = 3}, {{"weights/vector", {4}, 0, 4, 0, 1, tensor.view()}}, *self);
  EXPECT_EQ(ExitCode(saved), 2) << saved;
  EXPECT_TRUE(fs::exists(checkpoints + "step-3/model.bin"));
  // A checkpoint that has lost its mark is one of ours.
  fs::remove(checkpoints + "step-5/complete");
  EXPECT_TRUE(HasUnfinished(run.path()));
}

TEST(FindCheckpoint, SaysOfWhatHasNoneWhatItIs) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& path) {
    const Status status = FindCheckpoint(path).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    return std::string(status.message());
  };
  EXPECT_EQ(message(folder.path() + "/absent"), folder.path() + "/absent does not exist");
  EXPECT_NE(message(folder.path()).find("is neither a run's folder nor a checkpoint"), std::string::npos);
  WEFT_CHECK_OK(WriteFileAtomically(folder.path() + "/config.json", "{}"));
  EXPECT_NE(message(folder.path()).find("looks like a model's folder"), std::string::npos);
  fs::create_directories(folder.path() + "/checkpoints");
  EXPECT_NE(message(folder.path()).find("has no complete checkpoint yet"), std::string::npos);
}

}  // namespace
}  // namespace weft
