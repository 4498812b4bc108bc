// Collectives against plain loops, on inline streams and on asynchronous ones with random delays: between thread ranks,
// and between the processes of this job, which are one in a plain start and several under mpirun (ctest does both).
// Values are small integers, so that sums are exact in f32.
#include "parallel/communicator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "parallel/thread_communicator.h"
#include "tests/parallel/job.h"

namespace weft {
namespace {

float ValueAt(int rank, int64_t i) { return static_cast<float>((rank + 1) * 7 + i % 13 - 20); }

Tensor Vector(int64_t size, int rank) {
  Tensor tensor({size}, DType::kF32);
  for (int64_t i = 0; i < size; ++i) tensor.data<float>()[i] = ValueAt(rank, i);
  return tensor;
}

float SumAt(int num_ranks, int64_t i) {
  float sum = 0;
  for (int rank = 0; rank < num_ranks; ++rank) sum += ValueAt(rank, i);
  return sum;
}

// How the streams of a test run their work.
struct Mode {
  int num_threads;  // 0: the processes of this job
  bool asynchronous;
};

class Collectives : public ::testing::TestWithParam<Mode> {
 protected:
  // body(communicator, stream) on every rank. The body waits for the stream before its buffers go.
  template <typename Body>
  void OnEveryRank(const Body& body) {
    const auto run = [&](Communicator& world) {
      StreamOptions options;
      options.asynchronous = GetParam().asynchronous;
      options.delay_seed = static_cast<uint64_t>(world.rank()) + 1;
      const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu(), options);
      body(world, *stream);
    };
    if (GetParam().num_threads == 0) return run(JobWorld());
    RunThreadRanks(GetParam().num_threads, run);
  }
};

constexpr int64_t kSizes[] = {1, 2, 1000, 5000};

TEST_P(Collectives, AllReduceSumsAndTakesTheMost) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    for (int64_t size : kSizes) {
      Tensor sum = Vector(size, world.rank()), most = Vector(size, world.rank());
      world.AllReduce(stream, sum);
      world.AllReduce(stream, most, ReduceOp::kMax);
      stream.Synchronize();
      for (int64_t i = 0; i < size; ++i) {
        EXPECT_EQ(sum.data<float>()[i], SumAt(world.size(), i));
        EXPECT_EQ(most.data<float>()[i], ValueAt(world.size() - 1, i));
      }
    }
  });
}

TEST_P(Collectives, AllReduceTakesLargeIntegers) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    Tensor count({3}, DType::kI64);
    std::fill_n(count.data<int64_t>(), 3, (int64_t{1} << 60) + world.rank());
    world.AllReduce(stream, count, ReduceOp::kMax);
    stream.Synchronize();
    EXPECT_EQ(count.data<int64_t>()[2], (int64_t{1} << 60) + world.size() - 1);
  });
}

TEST_P(Collectives, AllGatherPutsPartsInRankOrder) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    for (int64_t size : kSizes) {
      const Tensor part = Vector(size, world.rank());
      Tensor whole({size * world.size()}, DType::kF32), in_place({size * world.size()}, DType::kF32);
      const TensorView mine = in_place.view().Rows(size * world.rank(), size * (world.rank() + 1));
      for (int64_t i = 0; i < size; ++i) mine.data<float>()[i] = ValueAt(world.rank(), i);
      world.AllGather(stream, part, whole);
      world.AllGather(stream, mine, in_place);
      stream.Synchronize();
      for (int64_t i = 0; i < whole.num_elements(); ++i) {
        const float expected = ValueAt(static_cast<int>(i / size), i % size);
        EXPECT_EQ(whole.data<float>()[i], expected);
        EXPECT_EQ(in_place.data<float>()[i], expected);
      }
    }
  });
}

TEST_P(Collectives, ReduceScatterLeavesEachRankItsPart) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    for (int64_t size : kSizes) {
      const Tensor whole = Vector(size * world.size(), world.rank());
      Tensor in_place = Vector(size * world.size(), world.rank());
      Tensor part({size}, DType::kF32);
      const TensorView mine = in_place.view().Rows(size * world.rank(), size * (world.rank() + 1));
      world.ReduceScatter(stream, whole, part);
      world.ReduceScatter(stream, in_place, mine);
      stream.Synchronize();
      for (int64_t i = 0; i < size; ++i) {
        const float expected = SumAt(world.size(), size * world.rank() + i);
        EXPECT_EQ(part.data<float>()[i], expected);
        EXPECT_EQ(mine.data<float>()[i], expected);
      }
    }
  });
}

TEST_P(Collectives, ReduceScatterRoundsBf16Once) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    // Rank 0 brings 1, the others an eighth of a unit in the last place of 1 each: rounded after each addition they would
    // all be lost, and summed in f32 eight of them are not.
    constexpr int64_t kSize = 5000;
    constexpr float kLastPlace = 0x1p-7f;
    Tensor whole({kSize * world.size()}, DType::kBF16), part({kSize}, DType::kBF16);
    for (int64_t i = 0; i < whole.num_elements(); ++i) {
      const float small = kLastPlace * static_cast<float>(1 + i % 7);
      whole.data<bf16>()[i] = bf16(world.rank() == 0 ? 1.0f : small / 8);
    }
    world.ReduceScatter(stream, whole, part);
    stream.Synchronize();
    for (int64_t i = 0; i < kSize; ++i) {
      const int64_t at = kSize * world.rank() + i;
      const float sum = 1.0f + static_cast<float>(world.size() - 1) * kLastPlace * static_cast<float>(1 + at % 7) / 8;
      EXPECT_EQ(static_cast<float>(part.data<bf16>()[i]), static_cast<float>(bf16(sum))) << at;
    }
  });
}

TEST_P(Collectives, BroadcastComesFromEveryRoot) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    for (int root = 0; root < world.size(); ++root) {
      Tensor data = Vector(5000, world.rank());
      world.Broadcast(stream, data, root);
      stream.Synchronize();
      for (int64_t i = 0; i < 5000; ++i) EXPECT_EQ(data.data<float>()[i], ValueAt(root, i));
    }
  });
}

TEST_P(Collectives, MessagesArriveInOrder) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    if (world.size() == 1) return;
    const int next = (world.rank() + 1) % world.size(), previous = (world.rank() + world.size() - 1) % world.size();
    std::vector<Tensor> sent, received;
    for (int message = 0; message < 10; ++message) {
      sent.push_back(Vector(50 + 700 * message, world.rank() + message));
      received.emplace_back(Shape{50 + 700 * message}, DType::kF32);
    }
    const auto send = [&] { for (Tensor& message : sent) world.Send(stream, message, next); };
    const auto receive = [&] { for (Tensor& message : received) world.Receive(stream, message, previous); };
    if (world.rank() == 0) send();  // a Send may wait for its Receive, so somebody has to receive first
    receive();
    if (world.rank() != 0) send();
    stream.Synchronize();
    for (int message = 0; message < 10; ++message) {
      const Tensor& got = received[static_cast<size_t>(message)];
      for (int64_t i = 0; i < got.num_elements(); ++i) EXPECT_EQ(got.data<float>()[i], ValueAt(previous + message, i));
    }
  });
}

TEST_P(Collectives, FollowEachOtherInStreamOrder) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    // Each all-reduce multiplies by the number of ranks; the host does not wait in between.
    Tensor data({64}, DType::kF32);
    std::fill_n(data.data<float>(), 64, 1.0f);
    for (int i = 0; i < 5; ++i) world.AllReduce(stream, data);
    stream.Synchronize();
    EXPECT_EQ(data.data<float>()[63], std::pow(static_cast<float>(world.size()), 5.0f));
  });
}

TEST_P(Collectives, SplitOrdersByKeyAndKeepsGroupsApart) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    // Odd and even ranks, in descending order.
    const std::unique_ptr<Communicator> half = world.Split(world.rank() % 2, -world.rank(), "half");
    const int size = (world.size() + (world.rank() % 2 == 0 ? 1 : 0)) / 2;
    ASSERT_EQ(half->size(), size);
    EXPECT_EQ(half->name(), "half");
    EXPECT_EQ(half->rank(), size - 1 - world.rank() / 2);
    Tensor data = Vector(33, world.rank()), whole = Vector(33, world.rank());
    half->AllReduce(stream, data);
    world.AllReduce(stream, whole);
    stream.Synchronize();
    float expected = 0;
    for (int rank = world.rank() % 2; rank < world.size(); rank += 2) expected += ValueAt(rank, 32);
    EXPECT_EQ(data.data<float>()[32], expected);
    EXPECT_EQ(whole.data<float>()[32], SumAt(world.size(), 32));
  });
}

TEST_P(Collectives, SplitLeavesOutWhoGivesNoColor) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    const std::unique_ptr<Communicator> first = world.Split(world.rank() == 0 ? 0 : -1, 0, "first");
    ASSERT_EQ(first != nullptr, world.rank() == 0);
    if (first == nullptr) return;
    Tensor data = Vector(5, world.rank());
    first->AllReduce(stream, data);
    stream.Synchronize();
    EXPECT_EQ(first->size(), 1);
    EXPECT_EQ(data.data<float>()[4], ValueAt(0, 4));
  });
}

TEST_P(Collectives, GroupsOfTwoStreamsOverlap) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    const std::unique_ptr<Communicator> other_world = world.Split(0, world.rank(), "other world");
    StreamOptions options;
    options.asynchronous = true;
    options.delay_seed = static_cast<uint64_t>(world.rank()) + 100;
    const std::unique_ptr<Stream> other = Stream::Create(Device::Cpu(), options);
    Tensor here = Vector(100, world.rank()), there = Vector(100, world.rank());
    for (int i = 0; i < 3; ++i) {
      other_world->AllReduce(*other, there);
      world.AllReduce(stream, here);
    }
    other->Synchronize();
    stream.Synchronize();
    for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(here.data<float>()[i], there.data<float>()[i]);
  });
}

TEST_P(Collectives, BytesAreGatheredWhileAStreamIsBusy) {
  OnEveryRank([](Communicator& world, Stream& stream) {
    Tensor data = Vector(1000, world.rank());
    world.AllReduce(stream, data);
    const std::vector<std::string> all = world.AllGatherBytes(std::string(static_cast<size_t>(world.rank()), 'a'));
    ASSERT_EQ(static_cast<int>(all.size()), world.size());
    for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(all[static_cast<size_t>(rank)].size(), static_cast<size_t>(rank));
    stream.Synchronize();
    EXPECT_EQ(data.data<float>()[999], SumAt(world.size(), 999));
  });
}

TEST_P(Collectives, BarrierHoldsUntilAllHaveCome) {
  OnEveryRank([](Communicator& world, Stream&) {
    const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };  // one clock a host
    if (world.rank() == world.size() - 1) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const int64_t came = now();
    world.Barrier();
    const int64_t left = now();
    for (const std::string& other : world.AllGatherBytes(StrCat(came))) EXPECT_GE(left, std::stoll(other));
  });
}

TEST_P(Collectives, OneRanksErrorIsEveryRanksError) {
  OnEveryRank([](Communicator& world, Stream&) {
    EXPECT_TRUE(AgreeOnStatus(world, absl::OkStatus()).ok());
    const int culprit = world.size() - 1;
    const Status mine = world.rank() == culprit ? DataError("the disk is full") : absl::OkStatus();
    const Status agreed = AgreeOnStatus(world, mine);
    EXPECT_EQ(agreed.code(), absl::StatusCode::kDataLoss);
    const std::string expected = world.size() == 1 ? "the disk is full" : StrCat("rank ", culprit, ": the disk is full");
    EXPECT_EQ(std::string(agreed.message()), expected);
    EXPECT_EQ(std::string(AgreeOnStatus(world, UserError("the same")).message()), "the same");
  });
}

std::string NameOf(const ::testing::TestParamInfo<Mode>& info) {
  const std::string ranks = info.param.num_threads == 0 ? "Processes" : StrCat(info.param.num_threads, "Ranks");
  return StrCat(ranks, info.param.asynchronous ? "WithDelays" : "Inline");
}

INSTANTIATE_TEST_SUITE_P(Threads, Collectives,
                         ::testing::Values(Mode{1, false}, Mode{2, false}, Mode{3, true}, Mode{4, true}, Mode{8, true}), NameOf);
INSTANTIATE_TEST_SUITE_P(Job, Collectives, ::testing::Values(Mode{0, false}, Mode{0, true}), NameOf);

TEST(SelfCommunicator, IsTheIdentity) {
  const std::unique_ptr<Communicator> self = MakeSelfCommunicator();
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  Tensor data = Vector(10, 0), whole({10}, DType::kF32), part({10}, DType::kF32);
  self->AllReduce(*stream, data);
  self->AllGather(*stream, data, whole);
  self->ReduceScatter(*stream, whole, part);
  self->Broadcast(*stream, part, 0);
  stream->Synchronize();
  for (int64_t i = 0; i < 10; ++i) EXPECT_EQ(part.data<float>()[i], ValueAt(0, i));
  EXPECT_EQ(self->Split(0, 0, "child")->size(), 1);
  EXPECT_EQ(self->AllGatherBytes("x"), std::vector<std::string>{"x"});
}

}  // namespace
}  // namespace weft
