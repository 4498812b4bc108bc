// RankMemory: the bytes that one rank allocates for parameters, their gradients and the optimizer, before the first step.
// Read from the same tables that ParamStore, ParamSync, OffloadedAdamW and TrainStateSnapshot allocate from, so it is what
// they take, to the byte.
//
// Activations, the kernels' scratch and the buffers of libraries come on top.
#pragma once

#include <cstddef>
#include <vector>

#include "parallel/param_layout.h"
#include "parallel/stage_layout.h"

namespace weft {

struct RankMemory {
  // For good.
  size_t weights = 0;
  size_t grads = 0;
  size_t masters = 0;  // 0 where the weights are the masters
  size_t moments = 0;  // both
  // While a plan needs them: what ZeRO keeps shared out, whole.
  size_t gathered_weights = 0;
  size_t whole_grads = 0;
  size_t offload_ring = 0;     // page-locked
  size_t snapshot = 0;         // of an asynchronous save, in host memory; page-locked where there is a GPU
  bool state_on_host = false;  // masters and moments
  size_t device_bytes() const { return weights + grads + gathered_weights + whole_grads + (state_on_host ? 0 : masters + moments); }
  size_t host_bytes() const { return offload_ring + snapshot + (state_on_host ? masters + moments : 0); }
  bool operator==(const RankMemory&) const = default;
};

// Of a rank with this layout that executes `plans`, and saves asynchronously or not.
RankMemory MemoryOf(const ParamLayout& layout, const StageLayout& stages, const std::vector<Plan>& plans, bool has_snapshot);

}  // namespace weft
