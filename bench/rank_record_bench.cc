// What the watchdog's record costs a rank's own thread: an action, a call on a communicator, a reading.
#include <benchmark/benchmark.h>

#include "parallel/communicator.h"
#include "parallel/watched_communicator.h"

namespace weft {
namespace {

void BM_EnterAction(benchmark::State& state) {
  RankRecord record;
  SetCurrentRecord(&record);
  for (auto _ : state) {
    CurrentRecord().Enter(Action{.kind = ActionKind::kForward, .group = 3, .micro_batch = 1});
  }
  SetCurrentRecord(nullptr);
}
BENCHMARK(BM_EnterAction);

// The difference between the two is what watching a call costs.
void AllReduces(benchmark::State& state, Communicator& communicator) {
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  Tensor data({64}, DType::kF32);
  for (auto _ : state) communicator.AllReduce(*stream, data);
}
void BM_Call(benchmark::State& state) { AllReduces(state, *MakeSelfCommunicator()); }
void BM_WatchedCall(benchmark::State& state) {
  RankRecord record;
  AllReduces(state, *WatchCommunicator(MakeSelfCommunicator(), record));
}
BENCHMARK(BM_Call);
BENCHMARK(BM_WatchedCall);

// About once a second, on the watchdog's thread.
void BM_Read(benchmark::State& state) {
  RankRecord record;
  for (int i = 0; i < 6; ++i) record.AddCommunicator(static_cast<uint64_t>(i), "dp", 0, 2);
  for (int i = 0; i < 128; ++i) record.EndStep(0.1 * i);
  for (auto _ : state) benchmark::DoNotOptimize(record.Read());
}
BENCHMARK(BM_Read);

}  // namespace
}  // namespace weft
