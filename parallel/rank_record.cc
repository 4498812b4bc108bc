// Writing and reading of records (see rank_record.h).
#include "parallel/rank_record.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/check.h"

namespace weft {
namespace {

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

thread_local RankRecord* current_record = nullptr;

}  // namespace

RankRecord& CurrentRecord() {
  thread_local RankRecord unread;
  return current_record == nullptr ? unread : *current_record;
}

void SetCurrentRecord(RankRecord* record) { current_record = record; }

// --- Calls
// -----------------------------------------------------------------------------------------------------------

void RankRecord::Calls::Begin(const CallRecord& call) {
  const bool transfers = call.operation == Operation::kSend || call.operation == Operation::kReceive;
  if (transfers) {
    own_.transfer = call;
    own_.inside = CommunicatorRecord::Inside::kTransfer;
  } else {
    ++own_.num_collectives;
    own_.collectives[static_cast<size_t>(own_.num_collectives % CommunicatorRecord::kHistory)] = call;
    own_.inside = CommunicatorRecord::Inside::kCollective;
  }
  published_.Write(own_);
  record_->CountProgress();
  began_ns_ = NowNs();
}

void RankRecord::Calls::End() {
  record_->waited_ns_.fetch_add(NowNs() - began_ns_, std::memory_order_relaxed);
  own_.inside = CommunicatorRecord::Inside::kNothing;
  published_.Write(own_);
  record_->CountProgress();
}

void RankRecord::Calls::Count(const CallRecord& call) {
  for (const uint64_t word : {static_cast<uint64_t>(call.operation), static_cast<uint64_t>(call.dtype),
                              static_cast<uint64_t>(call.num_elements), static_cast<uint64_t>(call.peer)}) {
    hash_ = (hash_ ^ word) * 0x9E3779B97F4A7C15u;  // odd, so nothing is lost; the shift brings high bits down
    hash_ ^= hash_ >> 32;
  }
  ++tally_.num_calls;
  tally_.num_elements += call.num_elements;
  tally_.digest = hash_ >> 32;
  tally_.last = call;
}

RankRecord::Calls& RankRecord::AddCommunicator(uint64_t id, const std::string& name, int rank, int size) {
  const int index = num_communicators();
  WEFT_CHECK_LT(index, RankSnapshot::kMaxCommunicators) << "communicators of one rank, at " << name;
  Calls& calls = communicators_[static_cast<size_t>(index)];
  calls.record_ = this;
  calls.own_.id = id;
  name.copy(calls.own_.name, sizeof(calls.own_.name) - 1);
  calls.own_.rank = rank;
  calls.own_.size = size;
  calls.published_.Write(calls.own_);
  num_communicators_.store(index + 1, std::memory_order_release);
  return calls;
}

// --- Position
// --------------------------------------------------------------------------------------------------------

void RankRecord::Publish() {
  ++position_.place.ordinal;
  published_position_.Write(position_);
  CountProgress();
}

void RankRecord::SetPlace(const Coord& coord, int head_group) {
  position_.coord = coord;
  position_.head_group = head_group;
  Publish();
}

void RankRecord::BeginStep(int64_t step) {
  position_.place.step = step;
  position_.place.ordinal = 0;
  waited_before_step_ns_ = waited_ns_.load(std::memory_order_relaxed);
  Enter(Phase::kLoadingData);
}

void RankRecord::Enter(Phase phase) {
  position_.place.phase = phase;
  position_.place.in_action = false;
  Publish();
}

void RankRecord::Enter(const Action& action) {
  if (position_.place.phase == Phase::kLoadingData) position_.place.phase = Phase::kTraining;
  position_.place.in_action = true;
  position_.place.action = action;
  Publish();
}

void RankRecord::EndStep(double seconds) {
  const int64_t waited = waited_ns_.load(std::memory_order_relaxed) - waited_before_step_ns_;
  const int64_t number = num_steps_.load(std::memory_order_relaxed);
  const size_t slot = static_cast<size_t>(number) % kTimedSteps;
  step_s_[slot].store(static_cast<float>(seconds), std::memory_order_relaxed);
  busy_s_[slot].store(static_cast<float>(std::max(0.0, seconds - static_cast<double>(waited) * 1e-9)),
                      std::memory_order_relaxed);
  num_steps_.store(number + 1, std::memory_order_release);
}

// --- Reading
// ---------------------------------------------------------------------------------------------------------

StepTimes RankRecord::ReadTimes() const {
  const auto n = static_cast<size_t>(std::min<int64_t>(num_steps_.load(std::memory_order_acquire), kTimedSteps));
  StepTimes times;
  if (n == 0) return times;
  std::vector<float> whole(n), busy(n);
  for (size_t i = 0; i < n; ++i) {
    whole[i] = step_s_[i].load(std::memory_order_relaxed);
    busy[i] = busy_s_[i].load(std::memory_order_relaxed);
  }
  std::sort(whole.begin(), whole.end());
  std::sort(busy.begin(), busy.end());
  times.num_steps = static_cast<int32_t>(n);
  times.median_step = whole[n / 2];
  for (size_t quarter = 1; quarter <= 3; ++quarter) times.busy_quartiles[quarter - 1] = busy[n * quarter / 4];
  return times;
}

RankSnapshot RankRecord::Read() const {
  RankSnapshot snapshot;
  snapshot.num_changes = num_changes();
  snapshot.position = published_position_.Read();
  snapshot.times = ReadTimes();
  snapshot.num_communicators = num_communicators();
  for (size_t i = 0; i < static_cast<size_t>(snapshot.num_communicators); ++i) {
    snapshot.communicators[i] = communicators_[i].published_.Read();
  }
  return snapshot;
}

}  // namespace weft
