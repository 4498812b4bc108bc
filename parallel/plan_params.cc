// Placing gathers, releases and reductions (see plan_params.h).
#include "parallel/plan_params.h"

#include <algorithm>
#include <map>

namespace weft {
namespace {

// Places in a plan are counted in its compute actions.
struct Use {
  int place;
  int micro_batch;
};

// A parameter group is whole from before `first` to after `last`.
struct Stay {
  int group;
  int first, last;
};

// What happens besides, by compute action.
struct Additions {
  std::map<int, std::vector<Action>> before;
  std::map<int, std::vector<Action>> after;
};

bool MakesGradients(ActionKind kind) { return kind == ActionKind::kBackward || kind == ActionKind::kBackwardWeight; }

// For each use, whether a micro-batch that used the group then or before has another use after it.
std::vector<bool> MicroBatchesGoOn(const std::vector<Use>& uses) {
  std::map<int, size_t> last_of;  // by micro-batch
  for (size_t i = 0; i < uses.size(); ++i) last_of[uses[i].micro_batch] = i;
  std::vector<bool> goes_on;
  size_t furthest = 0;
  for (size_t i = 0; i < uses.size(); ++i) {
    furthest = std::max(furthest, last_of[uses[i].micro_batch]);
    goes_on.push_back(furthest > i);
  }
  return goes_on;
}

std::map<int, std::vector<Use>> UsesOfGroups(const StageLayout& layout, const Plan& compute) {
  std::map<int, std::vector<Use>> uses;
  for (size_t place = 0; place < compute.size(); ++place) {
    if (!layout.ReadsWeights(compute[place])) continue;
    for (int group : layout.ParamGroupsOf(compute[place].group)) {
      uses[group].push_back({static_cast<int>(place), compute[place].micro_batch});
    }
  }
  return uses;
}

// Whether a group stays whole from one use to the next.
bool StaysBetween(const Use& use, const Use& next, bool micro_batch_goes_on, const ShardPolicy& policy) {
  const bool due_at_once = use.place + 1 >= next.place - policy.prefetch;
  if (policy.zero_stage < 3 || due_at_once) return true;
  return policy.reshard == Reshard::kPerStep || (policy.reshard == Reshard::kPerMicroBatch && micro_batch_goes_on);
}

// In order of their first use.
std::vector<Stay> StaysOfGroups(const std::map<int, std::vector<Use>>& uses, const ShardPolicy& policy) {
  std::vector<Stay> stays;
  for (const auto& [group, list] : uses) {
    const std::vector<bool> goes_on = MicroBatchesGoOn(list);
    for (size_t i = 0; i < list.size(); ++i) {
      if (i == 0 || !StaysBetween(list[i - 1], list[i], goes_on[i - 1], policy)) stays.push_back({group, list[i].place, 0});
      stays.back().last = list[i].place;
    }
  }
  std::sort(stays.begin(), stays.end(), [](const Stay& a, const Stay& b) { return a.first < b.first; });
  return stays;
}

// A gather never stands before the release that precedes it: then the group would have stayed.
void AddGathers(const StageLayout& layout, const ShardPolicy& policy, const Plan& compute, Additions* additions) {
  for (const auto& [group, first, last] : StaysOfGroups(UsesOfGroups(layout, compute), policy)) {
    additions->before[std::max(first - policy.prefetch, 0)].push_back({ActionKind::kGather, group});
    if (policy.zero_stage == 3) additions->after[last].push_back({ActionKind::kRelease, group});
  }
}

void AddReductions(const StageLayout& layout, const ShardPolicy& policy, const Plan& compute, Additions* additions) {
  std::map<int, int> last;
  for (size_t place = 0; place < compute.size(); ++place) {
    if (!MakesGradients(compute[place].kind)) continue;
    for (int group : layout.ParamGroupsOf(compute[place].group)) {
      last[group] = static_cast<int>(place);
      if (policy.zero_stage >= 2) additions->after[last[group]].push_back({ActionKind::kReduce, group});
    }
  }
  for (const auto& [group, place] : last) {
    if (policy.zero_stage < 2) additions->after[place].push_back({ActionKind::kReduce, group});
  }
}

void Append(Plan* plan, const std::map<int, std::vector<Action>>& additions, int place) {
  const auto found = additions.find(place);
  if (found != additions.end()) plan->insert(plan->end(), found->second.begin(), found->second.end());
}

// `plan` with the additions. What comes after a compute action lets its sends go first: other ranks wait for those.
Plan Merge(const Plan& plan, const Additions& additions) {
  Plan merged;
  Append(&merged, additions.before, 0);
  int place = 0;
  bool pending = false;  // additions between compute action `place - 1` and `place`
  const auto flush = [&] {
    if (!pending) return;
    Append(&merged, additions.after, place - 1);
    Append(&merged, additions.before, place);
    pending = false;
  };
  for (const Action& action : plan) {
    if (action.kind != ActionKind::kSendActivation && action.kind != ActionKind::kSendGradient) flush();
    merged.push_back(action);
    if (!IsCompute(action.kind)) continue;
    ++place;
    pending = true;
  }
  flush();
  return merged;
}

}  // namespace

Plan PlanParams(const StageLayout& layout, const ShardPolicy& policy, int rank, const Plan& plan) {
  Plan compute;
  std::copy_if(plan.begin(), plan.end(), std::back_inserter(compute), [](const Action& a) { return IsCompute(a.kind); });
  Additions additions;
  if (policy.zero_stage >= 1) AddGathers(layout, policy, compute, &additions);
  AddReductions(layout, policy, compute, &additions);
  Plan merged = Merge(plan, additions);
  if (std::none_of(compute.begin(), compute.end(), [](const Action& a) { return MakesGradients(a.kind); })) return merged;
  const bool has_table = rank == 0 || rank == layout.pp - 1;
  if (layout.tied && layout.pp > 1 && has_table) merged.push_back({ActionKind::kReduceTied});
  merged.push_back({ActionKind::kReduceVectors});
  return merged;
}

}  // namespace weft
