// Mistakes that would read out of bounds or add the wrong numbers stop the job by name instead.
#include "parallel/thread_communicator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace weft {
namespace {

// Two ranks, inline, each with its own vector.
void OnPair(const std::function<void(Communicator& world, Stream& stream, Tensor& data)>& body, int64_t size_of_rank_1 = 4) {
  RunThreadRanks(2, [&](Communicator& world) {
    const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
    Tensor data({world.rank() == 1 ? size_of_rank_1 : 4}, DType::kF32);
    std::fill_n(data.data<float>(), data.num_elements(), 1.0f);
    body(world, *stream, data);
  });
}

class ThreadCommunicatorDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ThreadCommunicatorDeathTest, RanksOfOtherSizesAreNamed) {
  const auto all_reduce = [](Communicator& world, Stream& stream, Tensor& data) { world.AllReduce(stream, data); };
  EXPECT_DEATH(OnPair(all_reduce, 6), "world: rank . calls all-reduce \\(sum\\) of [46] f32, rank . calls .* of [46] f32");
  const auto all_gather = [](Communicator& world, Stream& stream, Tensor& data) {
    Tensor whole({2 * data.num_elements()}, DType::kF32);
    world.AllGather(stream, data, whole);
  };
  EXPECT_DEATH(OnPair(all_gather, 6), "calls all-gather of [46] f32, rank . calls all-gather of [46] f32");
  const auto reduce_scatter = [](Communicator& world, Stream& stream, Tensor& data) {
    Tensor part({data.num_elements() / 2}, DType::kF32);
    world.ReduceScatter(stream, data, part);
  };
  EXPECT_DEATH(OnPair(reduce_scatter, 6), "calls reduce-scatter of [23] f32, rank . calls reduce-scatter of [23] f32");
}

TEST_F(ThreadCommunicatorDeathTest, RanksInOtherOperationsAreNamed) {
  const auto other = [](Communicator& world, Stream& stream, Tensor& data) {
    Tensor whole({8}, DType::kF32);
    if (world.rank() == 0) world.AllReduce(stream, data);
    if (world.rank() == 1) world.AllGather(stream, data, whole);
  };
  EXPECT_DEATH(OnPair(other), "calls all-(reduce|gather).*, rank . calls all-(reduce|gather)");
  const auto other_root = [](Communicator& world, Stream& stream, Tensor& data) { world.Broadcast(stream, data, world.rank()); };
  EXPECT_DEATH(OnPair(other_root), "calls broadcast of 4 f32 from rank ., rank . calls broadcast of 4 f32 from rank .");
  const auto other_op = [](Communicator& world, Stream& stream, Tensor& data) {
    world.AllReduce(stream, data, world.rank() == 0 ? ReduceOp::kSum : ReduceOp::kMax);
  };
  EXPECT_DEATH(OnPair(other_op), "all-reduce \\((sum|max)\\)");
}

TEST_F(ThreadCommunicatorDeathTest, AMessageOfAnotherSizeIsNamed) {
  const auto message = [](Communicator& world, Stream& stream, Tensor& data) {
    if (world.rank() == 0) world.Send(stream, data, 1);
    if (world.rank() == 1) world.Receive(stream, data, 0);
  };
  EXPECT_DEATH(OnPair(message, 6), "world: rank 0 sends 4 f32, rank 1 receives 6 f32");
}

TEST_F(ThreadCommunicatorDeathTest, TwoStreamsInOneCommunicatorAreNamed) {
  const auto two_streams = [] {
    const std::vector<std::unique_ptr<Communicator>> ranks = MakeThreadCommunicators(2);
    StreamOptions options;
    options.asynchronous = true;
    const std::unique_ptr<Stream> one = Stream::Create(Device::Cpu(), options), other = Stream::Create(Device::Cpu(), options);
    Tensor data({4}, DType::kF32);
    ranks[0]->AllReduce(*one, data);  // waits for rank 1, who never comes
    ranks[0]->AllReduce(*other, data);
    one->Synchronize();
  };
  EXPECT_DEATH(two_streams(), "world: rank 0 calls all-reduce .* while another of its streams is inside a collective");
}

TEST(ThreadCommunicator, ASendWaitsForItsReceive) {
  std::atomic<bool> has_received = false;
  OnPair([&has_received](Communicator& world, Stream& stream, Tensor& data) {
    if (world.rank() == 0) {
      world.Send(stream, data, 1);
      EXPECT_TRUE(has_received);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      has_received = true;
      world.Receive(stream, data, 0);
    }
  });
}

}  // namespace
}  // namespace weft
