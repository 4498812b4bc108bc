// Adding up what a rank allocates (see rank_memory.h).
#include "trainer/rank_memory.h"

#include "optim/offloaded_adamw.h"
#include "parallel/param_sync.h"
#include "trainer/train_state.h"

namespace weft {
namespace {

size_t BytesOf(const std::map<int64_t, int>& slots, DType dtype) {
  size_t bytes = 0;
  for (const auto& [size, count] : slots) bytes += static_cast<size_t>(size * count) * DTypeSize(dtype);
  return bytes;
}

}  // namespace

RankMemory MemoryOf(const ParamLayout& layout, const StageLayout& stages, const std::vector<Plan>& plans, bool has_snapshot) {
  RankMemory memory = {.state_on_host = layout.options().offload_optimizer};
  for (const ParamBuffer& buffer : layout.Buffers()) {
    switch (buffer.state) {
      case ParamState::kWeights:
        memory.weights += buffer.bytes();
        break;
      case ParamState::kGrads:
        memory.grads += buffer.bytes();
        break;
      case ParamState::kMasters:
        memory.masters += buffer.bytes();
        break;
      case ParamState::kFirstMoments:
      case ParamState::kSecondMoments:
        memory.moments += buffer.bytes();
        break;
    }
  }
  const SlotCounts slots = CountSlots(layout, stages, plans);
  memory.gathered_weights = BytesOf(slots.weights, layout.options().compute_dtype);
  memory.whole_grads = BytesOf(slots.grads, DType::kF32);
  if (memory.state_on_host) memory.offload_ring = RingFor(layout).bytes(layout.options().compute_dtype);
  if (has_snapshot) memory.snapshot = TrainStateSnapshot::BytesOf(layout);
  return memory;
}

}  // namespace weft
