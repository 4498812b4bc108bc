// Transfers between pipeline ranks: the second pass of a schedule.
//
// When a task ends, its rank sends and at the same moment the consumer receives. All compute and transfers therefore lie in
// one order over all ranks, of which each plan is a part: so blocking sends cannot deadlock, and every pair of ranks meets
// in the same order. Receives stand as early as this allows, so that they run under the compute before their use.
#pragma once

#include <vector>

#include "parallel/compute_order.h"

namespace weft {

// The groups' compute actions of `tasks`, and transfers; a plan for each pp rank.
std::vector<Plan> PlanTransfers(const StageLayout& layout, const std::vector<StageTask>& tasks);

}  // namespace weft
