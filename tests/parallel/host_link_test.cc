// Watchdogs on two hosts and the link between them: two network namespaces joined by a virtual cable. Needs root.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "core/str_cat.h"
#include "parallel/thread_communicator.h"
#include "parallel/watchdog.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void SleepFor(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

bool Do(const std::string& command) { return std::system((command + " 2>/dev/null").c_str()) == 0; }

// Two namespaces with an address each; gone at the end.
class TwoHosts {
 public:
  TwoHosts() {
    is_made_ = ::geteuid() == 0 && Do("ip netns add " + name(0)) && Do("ip netns add " + name(1)) &&
               Do(StrCat("ip -n ", name(0), " link add cable type veth peer name cable netns ", name(1)));
    for (int host = 0; host < 2 && is_made_; ++host) {
      is_made_ = Do(StrCat("ip -n ", name(host), " link set lo up")) &&
                 Do(StrCat("ip -n ", name(host), " address add 10.201.7.", host + 1, "/24 dev cable")) &&
                 Do(StrCat("ip -n ", name(host), " link set cable up"));
    }
  }
  ~TwoHosts() {
    for (int host = 0; host < 2; ++host) Do("ip netns delete " + name(host));
  }
  bool is_made() const { return is_made_; }
  bool CutCable() const { return Do(StrCat("ip -n ", name(1), " link set cable down")); }
  // Moves the calling thread, and the threads that it starts later, to a host.
  void Enter(int host) const {
    const int space = ::open(("/var/run/netns/" + name(host)).c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(space, 0);
    ASSERT_EQ(::setns(space, CLONE_NEWNET), 0);
    ::close(space);
  }

 private:
  static std::string name(int host) { return StrCat("weft-test-", ::getpid(), "-", host); }
  bool is_made_ = false;
};

// What the watchdogs of a job of four ranks have said, two of them on each host.
class HostLink : public testing::Test {
 protected:
  // body(rank, record) on each rank, watched; ranks 0 and 1 are on one host, 2 and 3 on the other.
  void RunOnTwoHosts(const std::function<void(int rank, RankRecord& record)>& body) {
    RunThreadRanks(4, [&](Communicator& world) {
      hosts_.Enter(world.rank() / 2);
      RankRecord record;
      const StallHandlers handlers = {.tell =
                                          [&](const Stall& stall) {
                                            const std::lock_guard<std::mutex> lock(mutex_);
                                            sentences_.push_back(stall.sentence);
                                          },
                                      .end = [&] { ++num_ended_; }};
      StatusOr<std::unique_ptr<Watchdog>> watchdog = Watchdog::Start(world, record, {.timeout_s = 1}, handlers);
      ASSERT_TRUE(watchdog.ok()) << watchdog.status();
      record.BeginStep(7);
      body(world.rank(), record);
    });
  }
  void AwaitEnds() {
    for (int i = 0; i < 200 && num_ended_ < 4; ++i) SleepFor(0.1);
    EXPECT_EQ(num_ended_, 4);
  }
  // Comes forward for so long, while nobody is ended.
  void Work(RankRecord& record, double seconds) {
    for (double worked = 0; worked < seconds && num_ended_ == 0; worked += 0.05) {
      SleepFor(0.05);
      record.CountProgress();
    }
  }
  void SetUp() override {
    if (!hosts_.is_made()) GTEST_SKIP() << "needs root and ip netns (iproute2)";
  }
  const TwoHosts hosts_;
  std::mutex mutex_;
  std::vector<std::string> sentences_;
  std::atomic<int> num_ended_ = 0;
};

TEST_F(HostLink, CarriesTheRecordOfARankThatStandsStill) {
  RunOnTwoHosts([&](int rank, RankRecord& record) {
    Work(record, 2);
    EXPECT_EQ(num_ended_, 0) << "a sound job";
    record.Enter(rank == 3 ? Phase::kTraining : Phase::kUpdating);
    AwaitEnds();
  });
  ASSERT_EQ(sentences_.size(), 1u);
  EXPECT_THAT(sentences_[0], AllOf(HasSubstr("rank 3 on host "), HasSubstr("does not come forward in step 7")));
}

// Each side sees that the other is silent, says so, and ends itself; no half is left to wait for ever.
TEST_F(HostLink, EndsBothHostsWhenItIsCut) {
  RunOnTwoHosts([&](int rank, RankRecord& record) {
    Work(record, 1);
    if (rank == 0) EXPECT_TRUE(hosts_.CutCable());
    Work(record, 30);
    AwaitEnds();
  });
  ASSERT_EQ(sentences_.size(), 2u);
  for (const std::string& sentence : sentences_) {
    EXPECT_THAT(sentence, AllOf(HasSubstr("does not answer (stopped, swapped out, or its host is down)"), HasSubstr("one more rank is gone")));
  }
}

}  // namespace
}  // namespace weft
