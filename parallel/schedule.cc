// From a layout to plans, pass by pass (see schedule.h).
#include "parallel/schedule.h"

#include "parallel/plan_transfers.h"

namespace weft {
namespace {

std::vector<Plan> MakePlans(const StageLayout& layout, const std::vector<StageTask>& order, const ShardPolicy& policy) {
  std::vector<Plan> plans = PlanTransfers(layout, order);
  for (int rank = 0; rank < layout.pp; ++rank) {
    Plan& plan = plans[static_cast<size_t>(rank)];
    plan = PlanParams(layout, policy, rank, plan);
  }
  return plans;
}

}  // namespace

std::vector<Plan> MakeTrainingPlans(const StageLayout& layout, ScheduleType type, int num_micro_batches,
                                    const ShardPolicy& policy) {
  return MakePlans(layout, OrderTraining(layout, type, num_micro_batches), policy);
}

std::vector<Plan> MakeEvaluationPlans(const StageLayout& layout, int num_micro_batches, const ShardPolicy& policy) {
  return MakePlans(layout, OrderEvaluation(layout, num_micro_batches), policy);
}

}  // namespace weft
