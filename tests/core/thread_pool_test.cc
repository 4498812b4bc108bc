// The pool: every index once, parts cut by index alone (core/thread_pool.h).
#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "core/log.h"

namespace weft {
namespace {

using Parts = std::set<std::pair<int64_t, int64_t>>;

Parts PartsOf(ThreadPool& pool, int64_t n, int64_t granule) {
  std::mutex mutex;
  Parts parts;
  pool.ParallelFor(n, granule, [&](int64_t begin, int64_t end) {
    std::lock_guard<std::mutex> lock(mutex);
    parts.emplace(begin, end);
  });
  return parts;
}

TEST(ThreadPool, PartsCoverTheRangeAtMultiplesOfTheGranule) {
  for (int num_threads : {1, 2, 3, 5}) {
    ThreadPool pool(num_threads);
    EXPECT_EQ(pool.num_threads(), num_threads);
    for (int64_t n : {1, 2, 15, 16, 17, 33, 1000}) {
      for (int64_t granule : {1, 4, 16, 2000}) {
        const Parts parts = PartsOf(pool, n, granule);
        EXPECT_LE(static_cast<int>(parts.size()), num_threads);
        int64_t next = 0;
        for (const auto& [begin, end] : parts) {
          EXPECT_EQ(begin, next);
          EXPECT_LT(begin, end);
          EXPECT_EQ(begin % granule, 0);
          next = end;
        }
        EXPECT_EQ(next, n);
      }
    }
  }
}

TEST(ThreadPool, CutsTheSameWayEveryTime) {
  ThreadPool pool(3);
  const Parts first = PartsOf(pool, 1000, 7);
  EXPECT_EQ(first.size(), 3u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(PartsOf(pool, 1000, 7), first);
}

TEST(ThreadPool, OfNothingCallsNothing) {
  ThreadPool pool(2);
  EXPECT_TRUE(PartsOf(pool, 0, 1).empty());
  pool.ParallelTasks(0, [](int64_t) { FAIL(); });
}

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (int num_threads : {1, 3}) {
    ThreadPool pool(num_threads);
    std::vector<std::atomic<int>> runs(257);
    pool.ParallelTasks(257, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
    for (const std::atomic<int>& count : runs) EXPECT_EQ(count, 1);
  }
}

// Thousands of short loops in a row, some after a pause in which the workers fall asleep.
TEST(ThreadPool, ManyLoopsInARowSeeEachOthersWrites) {
  ThreadPool pool(3);
  std::vector<int64_t> values(3000, 0);
  for (int loop = 1; loop <= 2000; ++loop) {
    if (loop % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool.ParallelFor(3000, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++values[static_cast<size_t>(2999 - i)];  // another thread's last time
    });
    pool.ParallelFor(3000, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++values[static_cast<size_t>(i)];
    });
  }
  for (int64_t value : values) EXPECT_EQ(value, 4000);
}

TEST(ThreadPool, WorkersAreReallyOtherThreads) {
  ThreadPool pool(3);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  pool.ParallelFor(3, 1, [&](int64_t, int64_t) {
    std::lock_guard<std::mutex> lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(ids.size(), 3u);
}

TEST(ThreadPool, WorkersKnowTheirRank) {
  const RankLabel before = CurrentRank();
  SetCurrentRank({.rank = 5, .label = "rank 5"});
  {
    ThreadPool pool(3);
    std::atomic<int> right = 0;
    pool.ParallelFor(3, 1, [&](int64_t, int64_t) { right += CurrentRank().rank == 5; });
    EXPECT_EQ(right, 3);
  }
  SetCurrentRank(before);
}

TEST(ThreadPoolDeathTest, NeedsAThread) { EXPECT_DEATH(ThreadPool(0), "0 vs 1"); }

TEST(DefaultNumThreads, IsAtLeastOneAndSharedAmongRanks) {
  const int alone = DefaultNumThreads(1);
  EXPECT_GE(alone, 1);
  EXPECT_EQ(DefaultNumThreads(alone), 1);
  EXPECT_EQ(DefaultNumThreads(100000), 1);
}

}  // namespace
}  // namespace weft
