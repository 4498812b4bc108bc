// Schedules as data: from a layout of stages and a few choices to the plan of every pipeline rank. Gradient accumulation
// is the one-stage schedule, so there is one training path.
//
// Plans are built in passes: the order in which ranks compute, the transfers between them, and the gathers, releases and
// reductions of parameters. plan_simulation.h proves that plans run and says how long ranks wait.
#pragma once

#include <vector>

#include "parallel/compute_order.h"
#include "parallel/plan_params.h"

namespace weft {

// One plan a pp rank. A layout with several virtual stages a rank goes with kInterleaved alone. Any number of
// micro-batches from 1 on is fine.
std::vector<Plan> MakeTrainingPlans(const StageLayout& layout, ScheduleType type, int num_micro_batches,
                                    const ShardPolicy& policy);
// The forward half alone, with the loss in the head's forward.
std::vector<Plan> MakeEvaluationPlans(const StageLayout& layout, int num_micro_batches, const ShardPolicy& policy);

}  // namespace weft
