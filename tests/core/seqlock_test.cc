// A value read while it is being written is an old or the new one, never a mixture.
#include "core/seqlock.h"

#include <gtest/gtest.h>

#include <thread>

namespace weft {
namespace {

struct Value {
  int64_t numbers[5] = {};
  int32_t last = 0;
};

TEST(Seqlock, GivesBackWhatWasWritten) {
  Seqlock<Value> lock;
  EXPECT_EQ(lock.Read().last, 0);
  lock.Write({.numbers = {1, 2, 3, 4, 5}, .last = 6});
  EXPECT_EQ(lock.Read().numbers[4], 5);
  EXPECT_EQ(lock.Read().last, 6);
}

TEST(Seqlock, IsNeverReadInHalves) {
  constexpr int64_t kWrites = 20000;
  Seqlock<Value> lock;
  std::thread writer([&lock] {
    for (int64_t i = 1; i <= kWrites; ++i) lock.Write({.numbers = {i, i, i, i, i}, .last = static_cast<int32_t>(i)});
  });
  for (int64_t seen = 0; seen < kWrites;) {
    const Value value = lock.Read();
    for (const int64_t number : value.numbers) ASSERT_EQ(number, value.last);
    ASSERT_GE(value.last, seen) << "time runs forward";
    seen = value.last;
  }
  writer.join();
}

}  // namespace
}  // namespace weft
