// Streams of the CPU, inline and as asynchronous queues: order, events, workspaces (core/stream.h).
#include "core/stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <future>
#include <vector>

#include "core/log.h"

namespace weft {
namespace {

std::unique_ptr<Stream> Queue(uint64_t delay_seed = 0) {
  return Stream::Create(Device::Cpu(), {.pool = nullptr, .asynchronous = true, .delay_seed = delay_seed});
}

TEST(Stream, InlineRunsAtOnce) {
  const auto stream = Stream::Create(Device::Cpu());
  bool ran = false;
  stream->Run([&] { ran = true; });
  EXPECT_TRUE(ran);
  EXPECT_EQ(stream->pool().num_threads(), 1);
  EXPECT_EQ(stream->cuda_handle(), nullptr);
}

TEST(Stream, UsesTheGivenPool) {
  ThreadPool pool(2);
  EXPECT_EQ(&Stream::Create(Device::Cpu(), {.pool = &pool})->pool(), &pool);
}

TEST(Stream, AQueueRunsInOrderOnItsOwnThread) {
  for (uint64_t delay_seed : {0, 7}) {
    const auto stream = Queue(delay_seed);
    std::vector<int> order;
    std::thread::id thread;
    for (int i = 0; i < 300; ++i) stream->Run([&, i] { order.push_back(i); });
    stream->Run([&] { thread = std::this_thread::get_id(); });
    stream->Synchronize();
    ASSERT_EQ(order.size(), 300u);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
    EXPECT_NE(thread, std::this_thread::get_id());
  }
}

TEST(Stream, AQueueDoesNotBlockTheHost) {
  const auto stream = Queue();
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  std::atomic<bool> ran = false;
  stream->Run([opened] { opened.wait(); });
  stream->Run([&] { ran = true; });
  EXPECT_FALSE(ran);  // the host is here while the queue waits
  gate.set_value();
  stream->Synchronize();
  EXPECT_TRUE(ran);
}

TEST(Stream, DestructionFinishesTheQueue) {
  int count = 0;
  {
    const auto stream = Queue(3);
    for (int i = 0; i < 50; ++i) stream->Run([&] { ++count; });
  }
  EXPECT_EQ(count, 50);
}

// The first queue is held until the second has had every chance to run ahead: only the event keeps it back.
TEST(Stream, WaitHoldsAnotherQueueBackUntilTheEvent) {
  const auto first = Queue(), second = Queue();
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  int value = 0, seen = -1;
  first->Run([&, opened] {
    opened.wait();
    value = 1;
  });
  const Event written = first->Record();
  second->Wait(written);
  second->Run([&] { seen = value; });
  std::atomic<bool> passed = false;
  second->Run([&] { passed = true; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(passed);
  gate.set_value();
  second->Synchronize();
  EXPECT_EQ(seen, 1);
}

TEST(Stream, QueuesWithoutAWaitOverlap) {
  const auto first = Queue(), second = Queue();
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  first->Run([opened] { opened.wait(); });
  bool ran = false;
  second->Run([&] { ran = true; });
  second->Synchronize();  // would hang if the second queue waited for the first
  EXPECT_TRUE(ran);
  gate.set_value();
}

TEST(Stream, AnEventCoversOnlyWorkIssuedBeforeIt) {
  const auto stream = Queue();
  const Event early = stream->Record();
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  stream->Run([opened] { opened.wait(); });
  early.Synchronize();  // would hang if it covered what came after
  gate.set_value();
  Event().Synchronize();
  Stream::Create(Device::Cpu())->Record().Synchronize();
}

TEST(Stream, WorkKnowsTheRankOfItsMaker) {
  const RankLabel before = CurrentRank();
  SetCurrentRank({.rank = 4, .label = "rank 4"});
  int rank = -1;
  {
    const auto stream = Queue();
    stream->Run([&] { rank = CurrentRank().rank; });
  }
  SetCurrentRank(before);
  EXPECT_EQ(rank, 4);
}

TEST(Stream, CopyAndZeroGoInOrder) {
  for (const auto& stream : {Stream::Create(Device::Cpu()), Queue(5)}) {
    Tensor from({3, 4}, DType::kF32), to({12}, DType::kF32);
    stream->Run([&] {
      for (int i = 0; i < 12; ++i) from.data<float>()[i] = static_cast<float>(i);
    });
    stream->Copy(to, from);
    stream->Zero(from);
    stream->Copy(Tensor({0}, DType::kF32), Tensor({0}, DType::kF32));
    stream->Synchronize();
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(to.data<float>()[i], static_cast<float>(i));
      EXPECT_EQ(from.data<float>()[i], 0);
    }
  }
}

TEST(Stream, WorkspaceGrowsAndStays) {
  const auto stream = Queue();
  const TensorView small = stream->Workspace(100);
  EXPECT_GE(small.num_bytes(), 100u);
  EXPECT_EQ(small.dtype(), DType::kU8);
  const TensorView large = stream->Workspace(5000);
  EXPECT_GE(large.num_bytes(), 5000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large.raw()) % 64, 0u);
  EXPECT_EQ(stream->Workspace(100).raw(), large.raw());
}

// Growth must wait for work that still uses the old memory.
TEST(Stream, WorkspaceGrowsOnlyAfterQueuedWork) {
  const auto stream = Queue();
  const TensorView small = stream->Workspace(64);
  std::atomic<bool> done = false;
  stream->Run([&, small] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    static_cast<uint8_t*>(small.raw())[0] = 1;
    done = true;
  });
  stream->Workspace(1 << 20);
  EXPECT_TRUE(done);
}

TEST(Stream, PoisonIsNaNInEveryFloatType) {
  const auto stream = Stream::Create(Device::Cpu());
  stream->PoisonWorkspace();  // nothing there yet
  const TensorView workspace = stream->Workspace(64);
  stream->PoisonWorkspace();
  EXPECT_TRUE(std::isnan(*static_cast<const float*>(workspace.raw())));
  EXPECT_TRUE(std::isnan(static_cast<float>(*static_cast<const bf16*>(workspace.raw()))));
}

TEST(StreamDeathTest, CopyNeedsEqualElements) {
  const auto stream = Stream::Create(Device::Cpu());
  Tensor a({3}, DType::kF32), b({4}, DType::kF32), c({3}, DType::kI32);
  EXPECT_DEATH(stream->Copy(a, b), "\\[3\\] := \\[4\\]");
  EXPECT_DEATH(stream->Copy(a, c), ":=");
}

}  // namespace
}  // namespace weft
