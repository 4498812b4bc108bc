// Saves in parts: what a crash, a failure or a search meets while shards are still being written.
//
// A writing thread is held up by the memory that it is to write, which cannot be read until the test lets it: so "while it is
// written" lasts as long as the test wants.
#include "checkpoint/checkpoint_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <set>
#include <thread>

#include "checkpoint/checkpoint_folders.h"
#include "core/file.h"
#include "core/hdf5_file.h"
#include "parallel/thread_communicator.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// Memory whose readers wait from Hold to Release, in the handler of the signal that their access raises.
class HeldMemory {
 public:
  static constexpr size_t kBytes = size_t{1} << 16;  // whole pages, whatever their size
  HeldMemory() : pages_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    WEFT_CHECK(pages_ != MAP_FAILED);
  }
  ~HeldMemory() {
    Release();
    ::munmap(pages_, kBytes);
  }
  float* data() { return static_cast<float*>(pages_); }
  void Hold() {
    held_ = true;
    held_pages_ = pages_;
    struct sigaction wait = {};
    wait.sa_sigaction = [](int, siginfo_t* info, void*) { Await(info->si_addr); };
    wait.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &wait, nullptr);
    WEFT_CHECK(::mprotect(pages_, kBytes, PROT_NONE) == 0);
  }
  void Release() {
    if (held_pages_ != pages_) return;
    WEFT_CHECK(::mprotect(pages_, kBytes, PROT_READ | PROT_WRITE) == 0);
    held_ = false;
  }

 private:
  static void Await(void* address) {
    const auto* const begin = static_cast<const char*>(held_pages_.load());
    if (address < begin || address >= begin + kBytes) std::abort();  // another fault
    while (held_) {
      const timespec millisecond = {0, 1'000'000};
      ::nanosleep(&millisecond, nullptr);
    }
  }

  static inline std::atomic<bool> held_{false};
  static inline std::atomic<void*> held_pages_{nullptr};  // of one at a time
  void* pages_;
};

constexpr int64_t kRows = 6;

// The rows of a matrix [kRows, 3] that a rank of `size` holds.
struct Part {
  Part(int rank, int size, float value)
      : begin(kRows * rank / size), end(kRows * (rank + 1) / size), num_values((end - begin) * 3) {
    std::fill_n(memory.data(), num_values, value);
  }
  std::vector<TensorPiece> pieces() {
    return {{"weights/matrix", {kRows, 3}, begin, end, 0, 3, TensorView(memory.data(), {end - begin, 3}, DType::kF32, Device::Cpu())}};
  }
  int64_t begin, end, num_values;
  HeldMemory memory;
};

StatusOr<std::unique_ptr<CheckpointSave>> Start(const std::string& run, int64_t step, Part& part, Communicator& world) {
  return CheckpointSave::Start(run, {.step = step}, part.pieces(), world);
}

void SaveWhole(const std::string& run, int64_t step, float value) {
  const auto self = MakeSelfCommunicator();
  Part part(0, 1, value);
  WEFT_CHECK_OK(SaveCheckpoint(run, {.step = step}, part.pieces(), *self));
}

float ValueIn(const std::string& checkpoint) {
  Part part(0, 1, 0);
  WEFT_CHECK_OK(LoadCheckpointPieces(checkpoint, part.pieces()));
  const float* values = part.memory.data();
  EXPECT_TRUE(std::all_of(values, values + part.num_values, [values](float value) { return value == values[0]; }));
  return values[0];
}

TEST(CheckpointSave, IsNoCheckpointUntilItIsFinished) {
  const TemporaryFolder run;
  SaveWhole(run.path(), 1, 1.0f);
  RunThreadRanks(2, [&](Communicator& world) {
    Part part(world.rank(), 2, 2.0f);
    if (world.rank() == 0) part.memory.Hold();
    auto save = Start(run.path(), 2, part, world);
    ASSERT_TRUE(save.ok()) << save.status();
    EXPECT_TRUE(world.rank() != 0 || (*save)->IsWriting());
    EXPECT_TRUE(std::filesystem::exists(PartialFolder(run.path(), 2)));
    EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 1));
    world.Barrier();
    if (world.rank() == 0) part.memory.Release();
    while ((*save)->IsWriting()) std::this_thread::yield();
    EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 1)) << "shards alone are none";
    world.Barrier();
    EXPECT_TRUE((*save)->Finish().ok());
    EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 2));
  });
  EXPECT_EQ(ValueIn(StepFolder(run.path(), 2)), 2.0f);
}

// As when the process ends between the two, or a run fails.
// The rank goes on to read its token store, which takes libhdf5's one lock.
TEST(CheckpointSave, LeavesLibhdf5AloneWhileItWrites) {
  const TemporaryFolder run;
  const auto self = MakeSelfCommunicator();
  Part part(0, 1, 2.0f);
  part.memory.Hold();
  auto save = Start(run.path(), 2, part, *self);
  ASSERT_TRUE(save.ok()) << save.status();
  EXPECT_TRUE(hdf5::CreateFile(run.path() + "/other.h5", 0).ok());
  EXPECT_TRUE((*save)->IsWriting());
  part.memory.Release();
  EXPECT_TRUE((*save)->Finish().ok());
}

TEST(CheckpointSave, AShardThatCannotBeBegunFailsTheSave) {
  const TemporaryFolder run;
  RunThreadRanks(2, [&](Communicator& world) {
    Part part(world.rank(), 2, 2.0f);
    auto save = Start(run.path(), world.rank() == 0 ? 2 : 3, part, world);  // of rank 1's step there is no folder
    ASSERT_TRUE(save.ok()) << save.status();
    EXPECT_THAT(std::string((*save)->Finish().message()), HasSubstr("rank-1.h5"));
  });
}

TEST(CheckpointSave, ThatIsNeverFinishedLeavesWhatTheNextPruneRemoves) {
  const TemporaryFolder run;
  SaveWhole(run.path(), 1, 1.0f);
  const auto self = MakeSelfCommunicator();
  Part part(0, 1, 2.0f);
  ASSERT_TRUE(Start(run.path(), 2, part, *self).ok());  // and destroyed
  EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 1));
  EXPECT_TRUE(std::filesystem::exists(PartialFolder(run.path(), 2) + "/rank-0.h5"));
  WEFT_CHECK_OK(PruneCheckpoints(run.path(), {}));
  EXPECT_FALSE(std::filesystem::exists(PartialFolder(run.path(), 2)));
  EXPECT_EQ(ValueIn(FindCheckpoint(run.path()).value()), 1.0f);
}

TEST(CheckpointSave, OneRanksFailureIsEveryRanks) {
  const TemporaryFolder run;
  SaveWhole(run.path(), 1, 1.0f);
  RunThreadRanks(3, [&](Communicator& world) {
    Part part(world.rank(), 3, 2.0f);
    if (world.rank() == 1) part.memory.Hold();
    auto save = Start(run.path(), 2, part, world);
    ASSERT_TRUE(save.ok()) << save.status();
    if (world.rank() == 1) {  // its file is taken from it
      std::filesystem::remove(PartialFolder(run.path(), 2) + "/rank-1.h5");
      part.memory.Release();
    }
    const Status status = (*save)->Finish();
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank-1.h5"));
    EXPECT_FALSE(std::filesystem::exists(PartialFolder(run.path(), 2)));
  });
  EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 1));
}

// A loss of the rank's own progress would let a watchdog call a long write a stall, and progress of a step that the thread
// counts would hide one.
TEST(CheckpointSave, WritingCountsForWhoWaitsAlone) {
  const TemporaryFolder run;
  const auto self = MakeSelfCommunicator();
  RankRecord record;
  SetCurrentRecord(&record);
  Part part(0, 1, 2.0f);
  part.memory.Hold();
  auto save = Start(run.path(), 2, part, *self);
  ASSERT_TRUE(save.ok()) << save.status();
  const uint64_t before = record.num_changes();
  part.memory.Release();
  while ((*save)->IsWriting()) std::this_thread::yield();
  EXPECT_EQ(record.num_changes(), before) << "a step that stands still meanwhile is one";
  EXPECT_TRUE((*save)->Finish().ok());
  SetCurrentRecord(nullptr);
}

constexpr std::chrono::milliseconds kNap{120};  // longer than it takes who waits to look again

// Handles a signal to the thread that writes: makes it slow, wherever it is.
void Nap(int /*signal*/) {
  const timespec nap = {.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kNap).count()};
  nanosleep(&nap, nullptr);
}

std::set<int> ThreadsOfThisProcess() {
  std::set<int> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    threads.insert(std::stoi(entry.path().filename().string()));
  }
  return threads;
}

// A save of many tensors, slowed down: how far `record`, of who waits in Finish, came while the shard was being written.
// Enough is enough.
uint64_t ProgressOfAWaitingRank(const std::string& run, uint64_t enough) {
  Tensor values({1, 4096}, DType::kF32);
  std::fill_n(values.data<float>(), values.num_elements(), 2.0f);
  std::vector<TensorPiece> pieces;
  for (int i = 0; i < 1000; ++i) pieces.push_back({StrCat("weights/", i), {1, 4096}, 0, 1, 0, 4096, values.view()});
  const auto self = MakeSelfCommunicator();
  RankRecord record;
  const std::set<int> before = ThreadsOfThisProcess();
  auto save = CheckpointSave::Start(run, {.step = 2}, pieces, *self);
  WEFT_CHECK_OK(save.status());
  std::set<int> writer = ThreadsOfThisProcess();
  for (const int thread : before) writer.erase(thread);
  std::thread waits([&] {
    SetCurrentRecord(&record);
    EXPECT_TRUE((*save)->Finish().ok());
    SetCurrentRecord(nullptr);
  });
  uint64_t progress = 0;
  while ((*save)->IsWriting() && progress < enough) {
    for (const int thread : writer) syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
    std::this_thread::sleep_for(kNap + std::chrono::milliseconds(3));
    const uint64_t now = record.num_changes();
    if ((*save)->IsWriting()) progress = now;  // else it may be of what follows the shard
  }
  waits.join();
  return progress;
}

// A shard that takes its time is no stall of the rank that waits for it.
TEST(CheckpointSave, WritingIsProgressOfWhoWaits) {
  struct sigaction nap = {}, before = {};
  nap.sa_handler = Nap;
  nap.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &nap, &before), 0);
  uint64_t progress = 0;  // a busy machine may let the thread write all before it can be slowed down
  for (int attempt = 0; attempt < 5 && progress < 2; ++attempt) progress = ProgressOfAWaitingRank(TemporaryFolder().path(), 2);
  EXPECT_GE(progress, 2u);
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

}  // namespace
}  // namespace weft
