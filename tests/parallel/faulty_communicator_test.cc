// Faults strike where they are aimed, do what they say, and leave every other call alone.
#include "tests/parallel/faulty_communicator.h"

#include <gtest/gtest.h>

#include "parallel/process_mesh.h"
#include "parallel/thread_communicator.h"

namespace weft {
namespace {

// Two ranks of an axis "dp" below a faulty world; rank r starts with `data` full of r + 1.
void OnFaultyPair(const Fault& fault, const std::function<void(Communicator& dp, Stream& stream, Tensor& data)>& body) {
  RunThreadRanks(2, [&](Communicator& real) {
    FaultyCommunicator world(real, {fault});
    const ProcessMesh mesh = MakeProcessMesh({.dp = 2}, world, world);
    StreamOptions options;
    options.asynchronous = true;
    const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu(), options);
    Tensor data({4}, DType::kF32);
    std::fill_n(data.data<float>(), 4, static_cast<float>(real.rank() + 1));
    body(*mesh.dp, *stream, data);
    stream->Synchronize();
  });
}

TEST(FaultyCommunicator, SkipsTheChosenAllReduceOnly) {
  const Fault fault = {.where = CallsOn("dp", CallKind::kAllReduce), .nth = 1};
  OnFaultyPair(fault, [](Communicator& dp, Stream& stream, Tensor& data) {
    const float expected[] = {3, 3, 6};  // the second sum is dropped
    for (float value : expected) {
      dp.AllReduce(stream, data);
      stream.Synchronize();
      EXPECT_EQ(data.data<float>()[3], value);
    }
  });
  EXPECT_EQ(fault.num_struck->load(), 2);  // once on each rank
}

TEST(FaultyCommunicator, ScalesOnOneRankAlone) {
  Fault fault = {.effect = FaultEffect::kScale, .factor = 2, .nth = Fault::kEvery};
  fault.where = [](const FaultyCall& call) { return call.kind == CallKind::kAllReduce && call.communicator.rank() == 1; };
  OnFaultyPair(fault, [](Communicator& dp, Stream& stream, Tensor& data) {
    dp.AllReduce(stream, data);
    stream.Synchronize();
    EXPECT_EQ(data.data<float>()[0], dp.rank() == 1 ? 6 : 3);
  });
  EXPECT_EQ(fault.num_struck->load(), 1);
}

TEST(FaultyCommunicator, LeavesTheOldContentOfAGather) {
  const Fault fault = {.where = CallsOn("dp", CallKind::kAllGather)};
  OnFaultyPair(fault, [](Communicator& dp, Stream& stream, Tensor& data) {
    Tensor whole({8}, DType::kF32);
    std::fill_n(whole.data<float>(), 8, -1.0f);
    dp.AllGather(stream, data, whole);
    stream.Synchronize();
    EXPECT_EQ(whole.data<float>()[0], -1);
    dp.AllGather(stream, data, whole);
    stream.Synchronize();
    EXPECT_EQ(whole.data<float>()[0], 1);
    EXPECT_EQ(whole.data<float>()[7], 2);
  });
}

TEST(FaultyCommunicator, LosesThePeersShareOfAReduceScatter) {
  const Fault fault = {.where = CallsOn("dp", CallKind::kReduceScatter)};
  OnFaultyPair(fault, [](Communicator& dp, Stream& stream, Tensor& data) {
    Tensor part({2}, DType::kF32);
    dp.ReduceScatter(stream, data, part);
    stream.Synchronize();
    EXPECT_EQ(part.data<float>()[1], static_cast<float>(dp.rank() + 1));
    dp.ReduceScatter(stream, data, part);
    stream.Synchronize();
    EXPECT_EQ(part.data<float>()[1], 3);
  });
}

TEST(FaultyCommunicator, CanAimAtADType) {
  Fault fault;
  fault.where = [](const FaultyCall& call) { return call.kind == CallKind::kAllReduce && call.dtype == DType::kI64; };
  OnFaultyPair(fault, [](Communicator& dp, Stream& stream, Tensor& data) {
    Tensor count({1}, DType::kI64);
    count.data<int64_t>()[0] = 5;
    dp.AllReduce(stream, data);
    dp.AllReduce(stream, count);
    stream.Synchronize();
    EXPECT_EQ(data.data<float>()[0], 3);
    EXPECT_EQ(count.data<int64_t>()[0], 5);
  });
}

TEST(FaultyCommunicator, AnotherNameIsLeftAlone) {
  const Fault fault = {.where = CallsOn("tp", CallKind::kAllReduce), .nth = Fault::kEvery};
  OnFaultyPair(fault, [](Communicator& dp, Stream& stream, Tensor& data) {
    dp.AllReduce(stream, data);
    stream.Synchronize();
    EXPECT_EQ(data.data<float>()[0], 3);
  });
  EXPECT_EQ(fault.num_struck->load(), 0);
}

}  // namespace
}  // namespace weft
