// Saves in parts: what a crash, a failure or a search meets while shards are still being written.
//
// A writing thread is held up by libhdf5's own lock, which the test holds: so "while it is written" lasts as long as the
// test wants.
#include "checkpoint/checkpoint_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <set>

#include "checkpoint/checkpoint_folders.h"
#include "core/file.h"
#include "core/hdf5_file.h"
#include "parallel/thread_communicator.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// Sits in a callback of libhdf5, and so holds its lock, from construction to destruction.
class Hdf5Held {
 public:
  explicit Hdf5Held(const std::string& folder) : thread_([this, path = folder + "/held.h5"] { Hold(path); }) {
    entered_.get_future().wait();
  }
  ~Hdf5Held() {
    release_.set_value();
    thread_.join();
  }

 private:
  void Hold(const std::string& path) {
    const hdf5::Handle file = hdf5::CreateFile(path, 0).value();
    WEFT_CHECK_OK(hdf5::WriteNumber(file, "number", 1));
    const auto wait = [](hid_t, const char*, const H5A_info_t*, void* self) -> herr_t {
      static_cast<Hdf5Held*>(self)->entered_.set_value();
      static_cast<Hdf5Held*>(self)->release_.get_future().wait();
      return 0;
    };
    H5Aiterate2(file.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, wait, this);
  }

  std::promise<void> entered_, release_;
  std::thread thread_;
};

constexpr int64_t kRows = 6;

// The rows of a matrix [kRows, 3] that a rank of `size` holds.
struct Part {
  Part(int rank, int size, float value)
      : begin(kRows * rank / size), end(kRows * (rank + 1) / size), memory({end - begin, 3}, DType::kF32) {
    std::fill_n(memory.data<float>(), memory.num_elements(), value);
  }
  std::vector<TensorPiece> pieces() { return {{"weights/matrix", {kRows, 3}, begin, end, 0, 3, memory.view()}}; }
  int64_t begin, end;
  Tensor memory;
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
  const float* values = part.memory.data<float>();
  EXPECT_TRUE(std::all_of(values, values + part.memory.num_elements(), [values](float value) { return value == values[0]; }));
  return values[0];
}

TEST(CheckpointSave, IsNoCheckpointUntilItIsFinished) {
  const TemporaryFolder run;
  SaveWhole(run.path(), 1, 1.0f);
  RunThreadRanks(2, [&](Communicator& world) {
    Part part(world.rank(), 2, 2.0f);
    std::unique_ptr<Hdf5Held> held;
    if (world.rank() == 0) held = std::make_unique<Hdf5Held>(run.path());
    world.Barrier();
    auto save = Start(run.path(), 2, part, world);
    ASSERT_TRUE(save.ok()) << save.status();
    EXPECT_TRUE((*save)->IsWriting());
    EXPECT_TRUE(std::filesystem::exists(PartialFolder(run.path(), 2)));
    EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 1));
    held.reset();
    while ((*save)->IsWriting()) std::this_thread::yield();
    EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 1)) << "shards alone are none";
    world.Barrier();
    EXPECT_TRUE((*save)->Finish().ok());
    EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 2));
  });
  EXPECT_EQ(ValueIn(StepFolder(run.path(), 2)), 2.0f);
}

// As when the process ends between the two, or a run fails.
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
    std::unique_ptr<Hdf5Held> held;
    if (world.rank() == 0) held = std::make_unique<Hdf5Held>(run.path());
    world.Barrier();
    auto save = Start(run.path(), 2, part, world);
    ASSERT_TRUE(save.ok()) << save.status();
    // Where rank 1's file must go, a folder is.
    if (world.rank() == 1) std::filesystem::create_directory(PartialFolder(run.path(), 2) + "/rank-1.h5");
    world.Barrier();
    held.reset();
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
  std::unique_ptr<Hdf5Held> held = std::make_unique<Hdf5Held>(run.path());
  auto save = Start(run.path(), 2, part, *self);
  ASSERT_TRUE(save.ok()) << save.status();
  const uint64_t before = record.num_changes();
  held.reset();
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
