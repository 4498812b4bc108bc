// Ranks whose collectives differ are found by one sum, and named.
#include "parallel/call_agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "parallel/thread_communicator.h"
#include "parallel/watched_communicator.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

// Ranks that have each issued some calls on "dp": the sum of their shares, and what each is told.
struct Outcome {
  int64_t sum = 0;
  std::vector<std::string> messages;
};

template <typename Record>
Outcome RunRanks(int size, const Record& record_calls) {
  Outcome outcome;
  outcome.messages.resize(static_cast<size_t>(size));
  std::mutex mutex;
  RunThreadRanks(size, [&](Communicator& world) {
    RankRecord record;
    RankRecord::Calls& calls = record.AddCommunicator(7, "dp", world.rank(), size);
    record_calls(world.rank(), calls);
    const Status status = DescribeCallDisagreement(world, record);
    const std::lock_guard<std::mutex> lock(mutex);
    outcome.sum += CallImbalance(record);
    outcome.messages[static_cast<size_t>(world.rank())] = std::string(status.message());
  });
  return outcome;
}

CallRecord AllReduceOf(int64_t n) { return {.operation = Operation::kAllReduce, .num_elements = n}; }

TEST(CallAgreement, IsZeroWhereAllMakeTheSame) {
  const Outcome outcome = RunRanks(4, [](int, RankRecord::Calls& calls) {
    for (const int64_t n : {100, 7, 100}) calls.Count(AllReduceOf(n));
  });
  EXPECT_EQ(outcome.sum, 0);
}

TEST(CallAgreement, NamesTheRankWhoseSizeDiffers) {
  for (int odd = 0; odd < 3; ++odd) {
    const Outcome outcome = RunRanks(3, [odd](int rank, RankRecord::Calls& calls) {
      for (const int64_t n : {100, 7}) calls.Count(AllReduceOf(rank == odd ? n - 1 : n));
      calls.Count(AllReduceOf(50));
    });
    EXPECT_NE(outcome.sum, 0);
    EXPECT_THAT(outcome.messages,
                Each(AllOf(HasSubstr(StrCat("rank ", odd, " has made other collectives than the others of dp")),
                           HasSubstr(StrCat("rank ", odd, " has made 3 of 155 elements in all")),
                           HasSubstr("has made 3 of 157 elements in all, the last the all-reduce of 50 f32"))));
  }
}

TEST(CallAgreement, SeesOrderOperationsAndTypes) {
  const CallRecord plain = AllReduceOf(64);
  CallRecord gather = plain, wide = plain;
  gather.operation = Operation::kAllGather;
  wide.dtype = DType::kI64;
  const std::vector<std::vector<CallRecord>> others = {{gather, plain}, {plain, wide}, {AllReduceOf(63), AllReduceOf(65)}, {plain}};
  for (const std::vector<CallRecord>& other : others) {
    const Outcome outcome = RunRanks(2, [&](int rank, RankRecord::Calls& calls) {
      for (const CallRecord& call : rank == 0 ? std::vector<CallRecord>{plain, plain} : other) calls.Count(call);
    });
    EXPECT_NE(outcome.sum, 0);
    EXPECT_THAT(outcome.messages, Each(HasSubstr("ranks 0 and 1 have made different collectives on dp")));
  }
}

// Groups of one job need not make the same calls.
TEST(CallAgreement, HoldsForEachGroupOfAJob) {
  std::vector<int64_t> shares(4);
  RunThreadRanks(4, [&](Communicator& inner) {
    RankRecord record;
    const int color = inner.rank() / 2;
    RankRecord::Calls& calls = record.AddCommunicator(static_cast<uint64_t>(color), "dp", inner.rank() % 2, 2);
    for (int i = 0; i <= color; ++i) calls.Count(AllReduceOf(8));
    shares[static_cast<size_t>(inner.rank())] = CallImbalance(record);
  });
  EXPECT_EQ(shares[0] + shares[1], 0);
  EXPECT_EQ(shares[2] + shares[3], 0);
  EXPECT_NE(shares[0], shares[2]);
}

TEST(CallAgreement, CountsWhatAWatchedCommunicatorIssues) {
  RankRecord record;
  const std::unique_ptr<Communicator> world = WatchCommunicator(MakeSelfCommunicator(), record);
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  Tensor data({6}, DType::kF32), whole({6}, DType::kF32);
  world->AllReduce(*stream, data);
  world->AllGather(*stream, data, whole);
  world->AllGatherBytes("bytes may differ between ranks");
  EXPECT_EQ(record.communicator(0).tally().num_calls, 2);
  EXPECT_EQ(record.communicator(0).tally().num_elements, 12);
}

}  // namespace
}  // namespace weft
