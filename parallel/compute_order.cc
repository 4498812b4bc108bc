// The list scheduler and its rules (see compute_order.h).
#include "parallel/compute_order.h"

#include <deque>
#include <limits>
#include <optional>

#include "core/check.h"

namespace weft {
namespace {

struct Rules {
  std::vector<int> max_in_flight;  // by rank: micro-batches, of each virtual stage, between forward and last gradient
  bool with_backward = true;
  bool split_backward = false;     // I when it can be, W when there is nothing better to do; else B
  bool backward_first = false;     // where both a backward and a forward could run
};

int TaskLength(ActionKind kind) { return kind == ActionKind::kBackward ? 2 : 1; }

class ListScheduler {
 public:
  ListScheduler(const StageLayout& layout, int num_micro_batches, Rules rules)
      : layout_(layout), num_micro_batches_(num_micro_batches), rules_(std::move(rules)) {
    const std::vector<int> never(static_cast<size_t>(num_micro_batches), kNever);
    forward_end_.assign(layout.virtual_stages.size(), never);
    backward_end_.assign(layout.virtual_stages.size(), never);
    for (int rank = 0; rank < layout.pp; ++rank) ranks_.push_back(MakeRank(rank));
  }

  std::vector<StageTask> Run() {
    for (int time = 0; HasWork(); ++time) {
      bool waits_for_another = false;
      for (int rank = 0; rank < layout_.pp; ++rank) {
        Rank& r = ranks_[static_cast<size_t>(rank)];
        if (r.free_at <= time) Start(r, Pick(r, rank, time), time);
        waits_for_another |= r.free_at > time;
      }
      WEFT_CHECK(waits_for_another) << "the schedule is stuck at time " << time;
    }
    return tasks_;
  }

 private:
  static constexpr int kNever = std::numeric_limits<int>::max();
  struct Piece {
    int virtual_stage, micro_batch;
  };
  struct Rank {
    std::deque<Piece> forwards, backwards, weights;  // still to do, in order
    int in_flight = 0;
    int free_at = 0;
  };

  // Micro-batches go through a rank's virtual stages in batches of pp: the last of a batch leaves the last rank just when
  // the first rank is ready to start the batch on its next virtual stage.
  Rank MakeRank(int rank) const {
    Rank r;
    const int num_stages = layout_.num_virtual_stages();
    for (int first = 0; first < num_micro_batches_; first += layout_.pp) {
      const int end = std::min(first + layout_.pp, num_micro_batches_);
      for (int stage = rank; stage < num_stages; stage += layout_.pp) {
        for (int m = first; m < end; ++m) r.forwards.push_back({stage, m});
      }
      for (int stage = num_stages - layout_.pp + rank; rules_.with_backward && stage >= 0; stage -= layout_.pp) {
        for (int m = first; m < end; ++m) r.backwards.push_back({stage, m});
      }
    }
    return r;
  }

  bool HasWork() const {
    for (const Rank& r : ranks_) {
      if (!r.forwards.empty() || !r.backwards.empty() || !r.weights.empty()) return true;
    }
    return false;
  }

  static int At(const std::vector<std::vector<int>>& ends, int stage, int micro_batch) {
    return ends[static_cast<size_t>(stage)][static_cast<size_t>(micro_batch)];
  }

  bool ForwardReady(const Rank& r, int max_in_flight, int time) const {
    if (r.forwards.empty() || r.in_flight >= max_in_flight) return false;
    const auto [stage, m] = r.forwards.front();
    return stage == 0 || At(forward_end_, stage - 1, m) <= time;
  }

  bool BackwardReady(const Rank& r, int time) const {
    if (r.backwards.empty()) return false;
    const auto [stage, m] = r.backwards.front();
    if (At(forward_end_, stage, m) > time) return false;
    return stage == layout_.num_virtual_stages() - 1 || At(backward_end_, stage + 1, m) <= time;
  }

  std::optional<ActionKind> Pick(const Rank& r, int rank, int time) const {
    const bool forward = ForwardReady(r, rules_.max_in_flight[static_cast<size_t>(rank)], time);
    const bool backward = BackwardReady(r, time);
    if (forward && !(backward && rules_.backward_first)) return ActionKind::kForward;
    if (backward) return rules_.split_backward ? ActionKind::kBackwardInput : ActionKind::kBackward;
    if (!r.weights.empty()) return ActionKind::kBackwardWeight;
    return std::nullopt;
  }

  void Start(Rank& r, std::optional<ActionKind> kind, int time) {
    if (!kind) return;
    std::deque<Piece>& queue = *kind == ActionKind::kForward          ? r.forwards
                               : *kind == ActionKind::kBackwardWeight ? r.weights
                                                                      : r.backwards;
    const Piece piece = queue.front();
    queue.pop_front();
    r.free_at = time + TaskLength(*kind);
    const auto end_of = [&](std::vector<std::vector<int>>& ends) -> int& {
      return ends[static_cast<size_t>(piece.virtual_stage)][static_cast<size_t>(piece.micro_batch)];
    };
    if (*kind == ActionKind::kForward) {
      ++r.in_flight;
      end_of(forward_end_) = r.free_at;
    } else if (*kind == ActionKind::kBackwardWeight) {
      --r.in_flight;
    } else {
      end_of(backward_end_) = r.free_at;
      if (*kind == ActionKind::kBackward) --r.in_flight;
      if (*kind == ActionKind::kBackwardInput) r.weights.push_back(piece);
    }
    tasks_.push_back({*kind, piece.virtual_stage, piece.micro_batch, time, r.free_at});
  }

  const StageLayout& layout_;
  const int num_micro_batches_;
  const Rules rules_;
  std::vector<std::vector<int>> forward_end_, backward_end_;  // by virtual stage and micro-batch
  std::vector<Rank> ranks_;
  std::vector<StageTask> tasks_;
};

// How many (virtual stage, micro-batch) pairs a rank may hold. 1F1B: as many as it can start before the first gradient
// comes back, which is one fewer a rank. Interleaved (Narayanan et al., 2021, section 2.2): all but its last virtual stage
// of a batch of pp micro-batches, and two for each rank after it. Zero bubble: pp on all ranks, so that later ranks can
// put off their weight gradients in the memory that 1F1B leaves free there.
int MaxInFlight(const StageLayout& layout, ScheduleType type, int num_micro_batches, int rank) {
  const int pp = layout.pp, interleave = layout.num_virtual_stages() / pp, ranks_after = pp - 1 - rank;
  if (pp == 1) return 1;
  switch (type) {
    case ScheduleType::kGPipe:
      return num_micro_batches;
    case ScheduleType::k1F1B:
      return ranks_after + 1;
    case ScheduleType::kInterleaved:
      return interleave == 1 ? ranks_after + 1 : (interleave - 1) * pp + 2 * ranks_after + 1;
    case ScheduleType::kZeroBubble:
      return pp;
  }
  WEFT_CHECK(false) << "no such schedule";
  return 0;
}

}  // namespace

std::vector<StageTask> OrderTraining(const StageLayout& layout, ScheduleType type, int num_micro_batches) {
  WEFT_CHECK_GE(num_micro_batches, 1);
  WEFT_CHECK(type == ScheduleType::kInterleaved || layout.num_virtual_stages() == layout.pp)
      << "only the interleaved schedule takes several virtual stages a rank";
  const bool zero_bubble = type == ScheduleType::kZeroBubble && layout.pp > 1;
  Rules rules = {.max_in_flight = {}, .split_backward = zero_bubble, .backward_first = zero_bubble};
  for (int rank = 0; rank < layout.pp; ++rank) {
    rules.max_in_flight.push_back(MaxInFlight(layout, type, num_micro_batches, rank));
  }
  return ListScheduler(layout, num_micro_batches, std::move(rules)).Run();
}

std::vector<StageTask> OrderEvaluation(const StageLayout& layout, int num_micro_batches) {
  WEFT_CHECK_GE(num_micro_batches, 1);
  const std::vector<int> unlimited(static_cast<size_t>(layout.pp), std::numeric_limits<int>::max());
  return ListScheduler(layout, num_micro_batches, {.max_in_flight = unlimited, .with_backward = false}).Run();
}

}  // namespace weft
