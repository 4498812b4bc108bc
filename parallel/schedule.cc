// The one-stage schedule and the printing of plans.
#include "parallel/schedule.h"

#include "core/str_cat.h"

namespace weft {

std::string ToString(const Action& action) {
  switch (action.kind) {
    case ActionKind::kForward:
      return StrCat("F", action.group, ".", action.micro_batch);
    case ActionKind::kBackwardInput:
      return StrCat("B", action.group, ".", action.micro_batch);
    case ActionKind::kBackwardWeight:
      return StrCat("W", action.group, ".", action.micro_batch);
    case ActionKind::kReduce:
      return StrCat("R", action.group);
  }
  return "?";
}

std::string ToString(const Plan& plan) {
  std::string text;
  for (const Action& action : plan) StrAppend(&text, text.empty() ? "" : " ", ToString(action));
  return text;
}

Plan OneStagePlan(int num_groups, int num_micro_batches) {
  Plan plan;
  for (int micro_batch = 0; micro_batch < num_micro_batches; ++micro_batch) {
    const bool last = micro_batch == num_micro_batches - 1;
    for (int group = 0; group < num_groups; ++group) plan.push_back({ActionKind::kForward, group, micro_batch});
    for (int group = num_groups - 1; group >= 0; --group) {
      plan.push_back({ActionKind::kBackwardInput, group, micro_batch});
      plan.push_back({ActionKind::kBackwardWeight, group, micro_batch});
      if (last) plan.push_back({ActionKind::kReduce, group, 0});
    }
  }
  return plan;
}

Plan ForwardPlan(int num_groups, int num_micro_batches) {
  Plan plan;
  for (int micro_batch = 0; micro_batch < num_micro_batches; ++micro_batch) {
    for (int group = 0; group < num_groups; ++group) plan.push_back({ActionKind::kForward, group, micro_batch});
  }
  return plan;
}

}  // namespace weft
