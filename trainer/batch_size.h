// DeepSpeed's batch arithmetic: train_batch_size = train_micro_batch_size_per_gpu * gradient_accumulation_steps * dp.
//
// Source: deepspeed/runtime/config.py, _set_batch_related_parameters and _batch_assertion. dp is the number of
// data-parallel replicas. A micro-batch counts sequences.
#pragma once

#include <cstdint>
#include <optional>

#include "core/status.h"

namespace weft {

struct BatchSize {
  std::optional<int64_t> train_batch_size;                // sequences a step, over all ranks
  std::optional<int64_t> train_micro_batch_size_per_gpu;  // sequences of one forward and backward on one replica
  std::optional<int64_t> gradient_accumulation_steps;     // micro-batches a step on one replica
};

// All three, from those given. Errors name the keys, their values and dp.
StatusOr<BatchSize> ResolveBatchSize(const BatchSize& given, int64_t dp);

}  // namespace weft
