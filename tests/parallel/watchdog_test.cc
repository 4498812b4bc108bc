// Watchdogs of thread ranks: they talk over real sockets, see who stands still, and let slow but honest work be.
#include "parallel/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>

#include "parallel/thread_communicator.h"
#include "parallel/watched_communicator.h"

namespace weft {
namespace {

using testing::HasSubstr;

constexpr double kTimeoutS = 1;

void SleepFor(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// What all watchdogs of a job have said and done.
class Verdicts {
 public:
  StallHandlers Handlers() {
    return {.tell =
                [this](const Stall& stall) {
                  std::lock_guard<std::mutex> lock(mutex_);
                  sentences_.push_back(stall.sentence);
                },
            .end = [this] { ++num_ended_; }};
  }
  std::vector<std::string> sentences() {
    std::lock_guard<std::mutex> lock(mutex_);
    return sentences_;
  }
  int num_ended() const { return num_ended_; }
  bool AwaitEnds(int count) const {
    for (int i = 0; i < 200 && num_ended_ < count; ++i) SleepFor(0.1);
    return num_ended_ == count;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> sentences_;
  std::atomic<int> num_ended_ = 0;
};

// Runs body(world, record) on each rank, watched.
void RunWatched(int size, double timeout_s, Verdicts& verdicts,
                const std::function<void(Communicator& world, RankRecord& record)>& body) {
  RunThreadRanks(size, [&](Communicator& real) {
    RankRecord record;
    const std::unique_ptr<Communicator> world = WatchCommunicator(real.Split(0, real.rank(), "world"), record);
    StatusOr<std::unique_ptr<Watchdog>> watchdog =
        Watchdog::Start(*world, record, {.timeout_s = timeout_s}, verdicts.Handlers());
    ASSERT_TRUE(watchdog.ok()) << watchdog.status();
    record.BeginStep(7);
    body(*world, record);
  });
}

TEST(Watchdog, NamesTheRankThatAllWaitForOnceAndEndsAll) {
  Verdicts verdicts;
  RunWatched(3, kTimeoutS, verdicts, [&](Communicator& world, RankRecord& record) {
    record.Enter(Action{.kind = ActionKind::kBackward, .group = 2, .micro_batch = 1});
    if (world.rank() == 1) {
      EXPECT_TRUE(verdicts.AwaitEnds(3));  // and does nothing else
    }
    world.Barrier();
  });
  ASSERT_EQ(verdicts.sentences().size(), 1u);
  EXPECT_THAT(verdicts.sentences()[0], HasSubstr("rank 1 on host "));
  EXPECT_THAT(
      verdicts.sentences()[0],
      HasSubstr(
          "does not come forward in step 7, micro-batch 1, backward of block 1; 2 other ranks wait for it, rank 0 in "
          "the host's exchange on world"));
}

TEST(Watchdog, LetsLongWorkBeThatCounts) {
  Verdicts verdicts;
  RunWatched(3, kTimeoutS, verdicts, [&](Communicator& world, RankRecord& record) {
    for (int piece = 0; world.rank() == 2 && piece < 20; ++piece) {
      SleepFor(kTimeoutS / 5);
      record.CountProgress();
    }
    world.Barrier();
  });
  EXPECT_EQ(verdicts.num_ended(), 0);
}

TEST(Watchdog, GivesSavesMoreTime) {
  Verdicts verdicts;
  RunWatched(2, kTimeoutS, verdicts, [&](Communicator& world, RankRecord& record) {
    record.Enter(Phase::kSaving);
    if (world.rank() == 0) SleepFor(4 * kTimeoutS);  // one file, on a slow disk
    world.Barrier();
  });
  EXPECT_EQ(verdicts.num_ended(), 0);
}

TEST(Watchdog, SeesAStallWhereOneRankHasEnded) {
  Verdicts verdicts;
  // Rank 1 goes without the others; then its watchdog has ended, too, and only the other two are told.
  RunWatched(3, kTimeoutS, verdicts, [&](Communicator& world, RankRecord& record) {
    record.Enter(Phase::kUpdating);
    if (world.rank() != 1) {
      EXPECT_TRUE(verdicts.AwaitEnds(2));
    }
  });
  ASSERT_EQ(verdicts.sentences().size(), 1u);
}

TEST(Watchdog, NamesAFailedRankAtOnce) {
  Verdicts verdicts;
  std::atomic<bool> is_over = false;
  RunThreadRanks(2, [&](Communicator& real) {
    RankRecord record;
    StatusOr<std::unique_ptr<Watchdog>> watchdog =
        Watchdog::Start(real, record, {.timeout_s = 60}, verdicts.Handlers());
    ASSERT_TRUE(watchdog.ok()) << watchdog.status();
    record.BeginStep(3);
    if (real.rank() == 1) {
      (*watchdog)->ReportFailure();
      is_over = true;
    }
    while (!is_over) SleepFor(0.01);
  });
  ASSERT_EQ(verdicts.sentences().size(), 1u);
  EXPECT_THAT(verdicts.sentences()[0], HasSubstr("rank 1"));
  EXPECT_THAT(verdicts.sentences()[0], HasSubstr("has failed (its message is above) in step 3, loading data"));
}

TEST(Watchdog, WatchesARankAlone) {
  Verdicts verdicts;
  RunWatched(1, kTimeoutS, verdicts, [&](Communicator&, RankRecord&) { EXPECT_TRUE(verdicts.AwaitEnds(1)); });
  ASSERT_EQ(verdicts.sentences().size(), 1u);
  EXPECT_THAT(verdicts.sentences()[0], HasSubstr("rank 0 on host "));
}

TEST(DatagramSocket, KnowsThatNobodyListens) {
  auto open = std::make_optional(DatagramSocket::Open());
  ASSERT_TRUE(open->ok()) << open->status();
  const StatusOr<DatagramSocket::Endpoint> here = DatagramSocket::Resolve((*open)->Advertise());
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_FALSE(DatagramSocket::IsClosed(*here));
  (*open)->Receive(0);  // the probe
  (*open)->Send(*here, "a message");
  EXPECT_EQ((*open)->Receive(5), "a message");
  EXPECT_EQ((*open)->Receive(0.01), std::nullopt);
  open.reset();
  EXPECT_TRUE(DatagramSocket::IsClosed(*here));
}

TEST(DatagramSocket, RefusesWhatIsNoAddress) {
  EXPECT_FALSE(DatagramSocket::Resolve("").ok());
  EXPECT_FALSE(DatagramSocket::Resolve("stack port").ok());
  EXPECT_FALSE(DatagramSocket::Resolve("another-host 99").ok());
}

}  // namespace
}  // namespace weft
