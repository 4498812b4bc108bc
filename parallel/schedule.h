// Schedules as data: from a layout of stages and a few choices to the plan of every pipeline rank. Gradient accumulation
// is the one-stage schedule, so there is one training path.
//
// Plans are built in passes: the order in which each rank computes (compute_order.h), the transfers between ranks
// (plan_transfers.h), and the gathers, releases and reductions of parameters (plan_params.h).
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/action.h"
#include "parallel/stage_layout.h"

namespace weft {

// With one pipeline rank they are all the same: each micro-batch forward and backward in turn.
enum class ScheduleType : uint8_t {
  kGPipe,        // all forwards, then all backwards (Huang et al., "GPipe", 2019)
  k1F1B,         // one forward, one backward: pp rather than M micro-batches in flight (Narayanan et al., "PipeDream", 2019)
  kInterleaved,  // 1F1B over several virtual stages a rank: a smaller bubble (Narayanan et al., "Megatron-LM", 2021)
  kZeroBubble,   // weight gradients fill the gaps of 1F1B (Qi et al., "Zero Bubble Pipeline Parallelism", 2023)
};

// ZeRO 3: how long the gathered weights of a group stay.
enum class Reshard : uint8_t {
  kPerUse,         // until the rank computes something else
  kPerMicroBatch,  // from a micro-batch's first use, its forward, to its last, its backward
  kPerStep,        // to the end of the plan
};

struct ShardPolicy {
  int zero_stage = 0;  // the effective one: 0 where there is one data-parallel rank
  Reshard reshard = Reshard::kPerMicroBatch;
  int prefetch = 1;    // a gather stands so many compute actions before the first that needs it
};

// One plan a pp rank. A layout with several virtual stages a rank goes with kInterleaved alone. Any number of
// micro-batches from 1 on is fine.
std::vector<Plan> MakeTrainingPlans(const StageLayout& layout, ScheduleType type, int num_micro_batches,
                                    const ShardPolicy& policy);
// The forward half alone, with the loss in the head's forward.
std::vector<Plan> MakeEvaluationPlans(const StageLayout& layout, int num_micro_batches, const ShardPolicy& policy);

}  // namespace weft
