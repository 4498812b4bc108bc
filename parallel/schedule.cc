// From a layout to plans, pass by pass (see schedule.h).
#include "parallel/schedule.h"

#include "core/check.h"

namespace weft {
namespace {

// One pipeline rank holds every group, and nothing is sharded.
Plan OneRankPlan(const StageLayout& layout, int num_micro_batches, bool training) {
  Plan plan;
  for (int micro_batch = 0; micro_batch < num_micro_batches; ++micro_batch) {
    const bool last = micro_batch == num_micro_batches - 1;
    for (int group = 0; group < layout.num_groups(); ++group) plan.push_back({ActionKind::kForward, group, micro_batch});
    for (int group = layout.head_group(); training && group >= 0; --group) {
      plan.push_back({ActionKind::kBackward, group, micro_batch});
      const bool shared = layout.tied && group == layout.head_group();  // the embedding's backward comes last
      if (last && !shared) plan.push_back({ActionKind::kReduce, group});
    }
  }
  if (training) plan.push_back({ActionKind::kReduceVectors});
  return plan;
}

}  // namespace

std::vector<Plan> MakeTrainingPlans(const StageLayout& layout, ScheduleType, int num_micro_batches,
                                    const ShardPolicy& policy) {
  WEFT_CHECK(layout.pp == 1 && policy.zero_stage == 0) << "not built yet";
  return {OneRankPlan(layout, num_micro_batches, /*training=*/true)};
}

std::vector<Plan> MakeEvaluationPlans(const StageLayout& layout, int num_micro_batches, const ShardPolicy& policy) {
  WEFT_CHECK(layout.pp == 1 && policy.zero_stage == 0) << "not built yet";
  return {OneRankPlan(layout, num_micro_batches, /*training=*/false)};
}

}  // namespace weft
