// Counting what a plan holds (see plan_peaks.h).
#include "parallel/plan_peaks.h"

#include <algorithm>
#include <set>

#include "core/check.h"

namespace weft {
namespace {

using Key = std::pair<int, int>;  // group, micro-batch

class Held {
 public:
  // False where it is held already.
  bool Take(Key key) {
    const bool taken = keys_.insert(key).second;
    most_ = std::max(most_, count());
    return taken;
  }
  void Return(Key key) { keys_.erase(key); }
  int count() const { return static_cast<int>(keys_.size()); }
  int most() const { return most_; }

 private:
  std::set<Key> keys_;
  int most_ = 0;
};

class PeakCounter {
 public:
  PeakCounter(const StageLayout& layout, bool training) : layout_(layout), training_(training) {}

  void Visit(const Action& action) {
    const Key key = {action.group, action.micro_batch};
    switch (action.kind) {
      case ActionKind::kForward:
        return Forward(key);
      case ActionKind::kBackward:
        BackwardInput(key);
        return BackwardWeight(key);
      case ActionKind::kBackwardInput:
        return BackwardInput(key);
      case ActionKind::kBackwardWeight:
        return BackwardWeight(key);
      case ActionKind::kReceiveActivation:
        StashesOf(action.group).Take(key);
        return;
      case ActionKind::kSendActivation:
        if (action.group == 0) block_stashes_.Return({1, action.micro_batch});
        return;
      case ActionKind::kReceiveGradient:
        gradients_.Take({action.group + 1, action.micro_batch});
        return;
      case ActionKind::kSendGradient:
        gradients_.Return(key);
        return;
      case ActionKind::kGather:
        gathered_.Take(key);
        return;
      case ActionKind::kRelease:
        gathered_.Return(key);
        return;
      default:
        return;
    }
  }

  Peaks peaks() const {
    return {.block_stashes = block_stashes_.most(),
            .head_stashes = head_stashes_.most(),
            .pending_weights = pending_.most(),
            .pending_weights_at_forward = pending_at_forward_,
            .residual_grads = gradients_.most(),
            .gathered_groups = gathered_.most()};
  }

 private:
  Held& StashesOf(int group) { return group == layout_.head_group() ? head_stashes_ : block_stashes_; }

  void Forward(Key key) {
    const auto [group, micro_batch] = key;
    if (group == 0) {
      block_stashes_.Take({1, micro_batch});
      return;
    }
    StashesOf(group).Take(key);
    if (layout_.IsBlock(group)) pending_at_forward_ = std::max(pending_at_forward_, pending_.count());
    if (training_) return;
    if (!layout_.IsFirstOfStage(group)) block_stashes_.Return({group - 1, micro_batch});
    if (layout_.IsLastOfStage(group)) StashesOf(group).Return(key);
  }

  // Gradients are named by the group that they flow out of, downwards.
  void BackwardInput(Key key) {
    if (layout_.IsBlock(key.first)) pending_.Take(key);
    if (key.first > 0) gradients_.Take(key);
  }

  void BackwardWeight(Key key) {
    gradients_.Return({key.first + 1, key.second});
    pending_.Return(key);
    if (key.first > 0) StashesOf(key.first).Return(key);
  }

  const StageLayout& layout_;
  const bool training_;
  Held block_stashes_, head_stashes_, pending_, gradients_, gathered_;
  int pending_at_forward_ = 0;
};

}  // namespace

Peaks Max(const Peaks& a, const Peaks& b) {
  return {.block_stashes = std::max(a.block_stashes, b.block_stashes),
          .head_stashes = std::max(a.head_stashes, b.head_stashes),
          .pending_weights = std::max(a.pending_weights, b.pending_weights),
          .pending_weights_at_forward = std::max(a.pending_weights_at_forward, b.pending_weights_at_forward),
          .residual_grads = std::max(a.residual_grads, b.residual_grads),
          .gathered_groups = std::max(a.gathered_groups, b.gathered_groups)};
}

Peaks MeasurePeaks(const Plan& plan, const StageLayout& layout) {
  const auto is_backward = [](const Action& action) {
    return action.kind == ActionKind::kBackward || action.kind == ActionKind::kBackwardInput;
  };
  PeakCounter counter(layout, std::any_of(plan.begin(), plan.end(), is_backward));
  for (const Action& action : plan) counter.Visit(action);
  return counter.peaks();
}

}  // namespace weft
