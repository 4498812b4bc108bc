// Placing sends and receives (see plan_transfers.h).
#include "parallel/plan_transfers.h"

#include <algorithm>
#include <tuple>

namespace weft {
namespace {

// What a group does when its virtual stage does `kind`. The head's weight gradient comes with that of its input; the
// embedding has no input to differentiate.
ActionKind KindOfGroup(const StageLayout& layout, int group, ActionKind kind) {
  return kind == ActionKind::kBackwardInput && !layout.IsBlock(group) ? ActionKind::kBackward : kind;
}

void AppendCompute(const StageLayout& layout, const StageTask& task, Plan* plan) {
  const auto [begin, end] = layout.virtual_stages[static_cast<size_t>(task.virtual_stage)];
  if (task.kind == ActionKind::kForward) {
    for (int group = begin; group < end; ++group) plan->push_back({task.kind, group, task.micro_batch});
    return;
  }
  for (int group = end - 1; group >= begin; --group) {
    if (task.kind == ActionKind::kBackwardWeight && !layout.IsBlock(group)) continue;  // done with I
    plan->push_back({KindOfGroup(layout, group, task.kind), group, task.micro_batch});
  }
}

void AppendTransfers(const StageLayout& layout, const StageTask& task, std::vector<Plan>* plans) {
  const int stage = task.virtual_stage, rank = stage % layout.pp;
  const auto [begin, end] = layout.virtual_stages[static_cast<size_t>(stage)];
  const auto plan_of = [&](int r) -> Plan& { return (*plans)[static_cast<size_t>(r)]; };
  if (task.kind == ActionKind::kForward) {
    if (stage == layout.num_virtual_stages() - 1) return;
    const int next = (rank + 1) % layout.pp;
    plan_of(rank).push_back({ActionKind::kSendActivation, end - 1, task.micro_batch, next});
    plan_of(next).push_back({ActionKind::kReceiveActivation, end, task.micro_batch, rank});
  } else if (task.kind != ActionKind::kBackwardWeight) {
    if (stage == 0) return;
    const int previous = (rank + layout.pp - 1) % layout.pp;
    plan_of(rank).push_back({ActionKind::kSendGradient, begin, task.micro_batch, previous});
    plan_of(previous).push_back({ActionKind::kReceiveGradient, begin - 1, task.micro_batch, rank});
  }
}

}  // namespace

std::vector<Plan> PlanTransfers(const StageLayout& layout, const std::vector<StageTask>& tasks) {
  struct Event {
    int time;
    bool is_start;  // ends come first: what ends now is there for what starts now
    const StageTask* task;
  };
  std::vector<Event> events;
  for (const StageTask& task : tasks) {
    events.push_back({task.start, true, &task});
    events.push_back({task.end, false, &task});
  }
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tie(a.time, a.is_start) < std::tie(b.time, b.is_start);
  });
  std::vector<Plan> plans(static_cast<size_t>(layout.pp));
  for (const Event& event : events) {
    if (event.is_start) {
      AppendCompute(layout, *event.task, &plans[static_cast<size_t>(event.task->virtual_stage % layout.pp)]);
    } else {
      AppendTransfers(layout, *event.task, &plans);
    }
  }
  return plans;
}

}  // namespace weft
