// SlotPool: a fixed number of equal buffers, each held by one (group, micro-batch) at a time. A pipeline has several
// micro-batches in flight, and how many is known from its plan (parallel/plan_peaks.h): the pool has exactly so many.
//
// Buffers change hands in the order in which work is issued. Who writes a buffer on another stream than its last user's
// must wait for FreeAfter first.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/stream.h"

namespace weft {

template <typename T>
class SlotPool {
 public:
  SlotPool() = default;
  // `what` names the buffers where a plan needs more of them than there are.
  SlotPool(std::string what, std::vector<T> buffers) : what_(std::move(what)) {
    for (T& buffer : buffers) {
      free_.push_back(static_cast<int>(slots_.size()));
      slots_.push_back({.buffer = std::move(buffer)});
    }
    all_were_held_ = slots_.empty();
  }

  // Takes the buffer that has been free for longest.
  T& Acquire(int group, int micro_batch) {
    WEFT_CHECK(!free_.empty()) << "all " << slots_.size() << " " << what_ << " are held, and group " << group
                               << ", micro-batch " << micro_batch << " needs one";
    WEFT_CHECK(Find(group, micro_batch) == nullptr) << what_ << " of group " << group << ", micro-batch " << micro_batch;
    Slot& slot = slots_[static_cast<size_t>(free_.front())];
    free_.erase(free_.begin());
    all_were_held_ = all_were_held_ || free_.empty();
    slot.group = group;
    slot.micro_batch = micro_batch;
    return slot.buffer;
  }
  T& Of(int group, int micro_batch) { return Held(group, micro_batch).buffer; }
  // What its last user left to be waited for.
  const Event& FreeAfter(int group, int micro_batch) { return Held(group, micro_batch).free_after; }
  void Release(int group, int micro_batch, const Event& free_after) {
    Slot& slot = Held(group, micro_batch);
    slot.group = kNobody;
    slot.free_after = free_after;
    free_.push_back(static_cast<int>(&slot - slots_.data()));
  }

  bool all_free() const { return free_.size() == slots_.size(); }
  // At some time so far no buffer was left: the pool is not larger than it must be.
  bool all_were_held() const { return all_were_held_; }

 private:
  static constexpr int kNobody = -1;
  struct Slot {
    T buffer;
    int group = kNobody, micro_batch = 0;
    Event free_after;
  };

  Slot* Find(int group, int micro_batch) {
    for (Slot& slot : slots_) {
      if (slot.group == group && slot.micro_batch == micro_batch) return &slot;
    }
    return nullptr;
  }
  Slot& Held(int group, int micro_batch) {
    Slot* slot = Find(group, micro_batch);
    WEFT_CHECK(slot != nullptr) << "no " << what_ << " is held by group " << group << ", micro-batch " << micro_batch;
    return *slot;
  }

  std::string what_;
  std::vector<Slot> slots_;
  std::vector<int> free_;  // in the order of their release
  bool all_were_held_ = true;
};

}  // namespace weft
