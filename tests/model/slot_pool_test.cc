// A pool's buffers change hands oldest first, with what must be waited for, and running dry is found.
#include "model/slot_pool.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(SlotPool, GivesTheBufferThatHasBeenFreeForLongest) {
  SlotPool<int> pool("number", {10, 20});
  EXPECT_EQ(pool.Acquire(1, 0), 10);
  EXPECT_EQ(pool.Acquire(1, 1), 20);
  EXPECT_FALSE(pool.all_free());
  EXPECT_EQ(pool.Of(1, 1), 20);
  pool.Release(1, 1, Event());
  pool.Release(1, 0, Event());
  EXPECT_TRUE(pool.all_free());
  EXPECT_EQ(pool.Acquire(2, 0), 20);
  EXPECT_EQ(pool.Acquire(2, 1), 10);
}

TEST(SlotPool, RemembersWhatItsLastHolderLeftToWaitFor) {
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu(), {.asynchronous = true, .delay_seed = 1});
  SlotPool<int> pool("number", {10});
  pool.Acquire(1, 0);
  EXPECT_EQ(pool.FreeAfter(1, 0).state(), nullptr);
  const Event done = stream->Record();
  pool.Release(1, 0, done);
  pool.Acquire(1, 1);
  EXPECT_EQ(pool.FreeAfter(1, 1).state(), done.state());
}

TEST(SlotPoolDeath, SaysWhoFoundNoBuffer) {
  SlotPool<int> pool("block stash", {10});
  pool.Acquire(1, 0);
  EXPECT_DEATH(pool.Acquire(2, 3), "all 1 block stash are held, and group 2, micro-batch 3");
  EXPECT_DEATH(pool.Of(2, 3), "no block stash is held by group 2, micro-batch 3");
}

}  // namespace
}  // namespace weft
