// Playing plans (see plan_simulation.h).
#include "parallel/plan_simulation.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "core/check.h"
#include "core/str_cat.h"

namespace weft {
namespace {

// What actions hand to each other on a rank.
enum class Item {
  kInput,     // what a group takes in
  kOutput,    // what it put out: F has run
  kGradient,  // the gradient of what it put out
  kDone,      // the gradient of its input: B or I has run
};

class Player {
 public:
  Player(const std::vector<Plan>& plans, const StageLayout& layout, const GroupCosts& costs)
      : plans_(plans), layout_(layout), costs_(costs), ranks_(plans.size()) {
    for (const Plan& plan : plans) result_.spans.emplace_back(plan.size());
  }

  Simulation Run() {
    for (bool progress = true; progress;) {
      progress = false;
      for (int rank = 0; rank < static_cast<int>(plans_.size()); ++rank) {
        while (!AtEnd(rank) && TryStep(rank)) progress = true;
      }
    }
    for (int rank = 0; rank < static_cast<int>(plans_.size()); ++rank) {
      if (!AtEnd(rank)) result_.deadlock.push_back({rank, Current(rank)});
      result_.busy.push_back(StateOf(rank).busy);
      result_.makespan = std::max(result_.makespan, StateOf(rank).compute_clock);
    }
    return std::move(result_);
  }

 private:
  struct RankState {
    size_t next = 0;
    double compute_clock = 0, transfer_clock = 0, busy = 0;
    std::map<std::tuple<Item, int, int>, double> since;  // item, group, micro-batch: there since
  };

  RankState& StateOf(int rank) { return ranks_[static_cast<size_t>(rank)]; }
  const Plan& PlanOf(int rank) const { return plans_[static_cast<size_t>(rank)]; }
  bool AtEnd(int rank) { return StateOf(rank).next == PlanOf(rank).size(); }
  const Action& Current(int rank) { return PlanOf(rank)[StateOf(rank).next]; }

  std::optional<double> Since(int rank, Item item, int group, int micro_batch) {
    const auto& since = StateOf(rank).since;
    const auto found = since.find({item, group, micro_batch});
    return found == since.end() ? std::nullopt : std::optional<double>(found->second);
  }
  void Put(int rank, Item item, int group, int micro_batch, double time) {
    StateOf(rank).since[{item, group, micro_batch}] = time;
  }
  void Advance(int rank, double start, double end) {
    result_.spans[static_cast<size_t>(rank)][StateOf(rank).next++] = {start, end};
  }

  bool TryStep(int rank) {
    const Action& action = Current(rank);
    if (IsCompute(action.kind)) return TryCompute(rank, action);
    switch (action.kind) {
      case ActionKind::kSendActivation:
        return TryTransfer(rank, action, {ActionKind::kReceiveActivation, action.group + 1, action.micro_batch, rank},
                           Item::kOutput, Item::kInput);
      case ActionKind::kSendGradient:
        return TryTransfer(rank, action, {ActionKind::kReceiveGradient, action.group - 1, action.micro_batch, rank},
                           Item::kDone, Item::kGradient);
      case ActionKind::kReceiveActivation:
      case ActionKind::kReceiveGradient:
        return false;  // the sender's step takes both on
      case ActionKind::kReduceTied:
        return TryReduceTied(rank);
      default:  // among data-parallel ranks, which have the same plan
        Advance(rank, StateOf(rank).compute_clock, StateOf(rank).compute_clock);
        return true;
    }
  }

  // Since when the action's input is there.
  std::optional<double> InputSince(int rank, const Action& action) {
    const auto [kind, group, micro_batch, peer] = action;
    if (kind == ActionKind::kForward) return group == 0 ? 0 : Since(rank, Item::kInput, group, micro_batch);
    if (kind == ActionKind::kBackwardWeight) return Since(rank, Item::kDone, group, micro_batch);
    const auto forward = Since(rank, Item::kOutput, group, micro_batch);
    if (group == layout_.head_group() || !forward) return forward;
    return Since(rank, Item::kGradient, group, micro_batch);
  }

  double CostOf(const Action& action) const {
    const bool is_forward = action.kind == ActionKind::kForward;
    if (!layout_.IsBlock(action.group)) return action.group == layout_.head_group() && !is_forward ? costs_.head : 0;
    if (is_forward) return costs_.forward;
    return (action.kind == ActionKind::kBackwardWeight ? 0 : costs_.backward_input) +
           (action.kind == ActionKind::kBackwardInput ? 0 : costs_.backward_weight);
  }

  bool TryCompute(int rank, const Action& action) {
    const std::optional<double> input = InputSince(rank, action);
    if (!input) return false;
    const auto [kind, group, micro_batch, peer] = action;
    RankState& state = StateOf(rank);
    const double start = std::max(state.compute_clock, *input), end = start + CostOf(action);
    if (kind == ActionKind::kForward) {
      Put(rank, Item::kOutput, group, micro_batch, end);
      if (!layout_.IsLastOfStage(group)) Put(rank, Item::kInput, group + 1, micro_batch, end);
    } else if (kind != ActionKind::kBackwardWeight) {
      Put(rank, Item::kDone, group, micro_batch, end);
      if (!layout_.IsFirstOfStage(group)) Put(rank, Item::kGradient, group - 1, micro_batch, end);
    }
    state.compute_clock = end;
    state.busy += end - start;
    Advance(rank, start, end);
    return true;
  }

  bool TryTransfer(int rank, const Action& send, const Action& receive, Item sent, Item received) {
    const std::optional<double> data = Since(rank, sent, send.group, send.micro_batch);
    if (!data || AtEnd(send.peer) || !(Current(send.peer) == receive)) return false;
    RankState& from = StateOf(rank);
    RankState& to = StateOf(send.peer);
    const double time = std::max({*data, from.transfer_clock, to.transfer_clock});
    from.transfer_clock = to.transfer_clock = time;
    Put(send.peer, received, receive.group, receive.micro_batch, time);
    Advance(rank, time, time);
    Advance(send.peer, time, time);
    return true;
  }

  bool TryReduceTied(int rank) {
    const int last = layout_.pp - 1, other = rank == 0 ? last : 0;
    if (AtEnd(other) || Current(other).kind != ActionKind::kReduceTied) return false;
    const double time = std::max(StateOf(rank).compute_clock, StateOf(other).compute_clock);
    Advance(rank, time, time);
    Advance(other, time, time);
    return true;
  }

  const std::vector<Plan>& plans_;
  const StageLayout& layout_;
  const GroupCosts& costs_;
  std::vector<RankState> ranks_;
  Simulation result_;
};

}  // namespace

double Simulation::BubbleShare() const {
  if (makespan == 0) return 0;
  return 1 - std::accumulate(busy.begin(), busy.end(), 0.0) / (makespan * static_cast<double>(busy.size()));
}

std::string Simulation::DeadlockText() const {
  std::string text;
  for (const auto& [rank, action] : deadlock) {
    StrAppend(&text, text.empty() ? "" : ", ", "rank ", rank, " waits at ", ToString(action));
  }
  return text;
}

Simulation Simulate(const std::vector<Plan>& plans, const StageLayout& layout, const GroupCosts& costs) {
  WEFT_CHECK_EQ(static_cast<int>(plans.size()), layout.pp);
  return Player(plans, layout, costs).Run();
}

}  // namespace weft
