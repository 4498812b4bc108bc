// RankRecord: where a rank is, kept up to date by the rank itself for the watchdog (watchdog.h) to read at any
// moment.
//
// It says the step, the micro-batch, the action of the plan, and for each communicator the newest calls and whether
// the newest is still under way. Writing takes no lock, no allocation and no clock except around calls that may wait,
// and costs tens of nanoseconds. Time is kept by the reader, who sees whether anything has changed since it last
// looked.
//
// On CUDA the host runs ahead of the device: there the record says what the host has issued, a call on a communicator
// is over as soon as it is issued, and a rank whose host has issued a whole step stands in Phase::kReadingBack.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/seqlock.h"
#include "parallel/action.h"
#include "parallel/mesh.h"

namespace weft {

// In the order in which a step passes through them.
enum class Phase : uint8_t {
  kStarting,     // before the first step: opening files, building the model, loading weights
  kLoadingData,  // of a step
  kTraining,     // the step's plan
  kUpdating,     // gradient norm, weights
  kReadingBack,  // loss and norm; on CUDA the host waits here for the device
  kEvaluating,
  kSaving,
  kRollingBack,  // weights of before a bad step are loaded
  kEnded,  // nothing more will come
};

// A point in a rank's program.
struct Place {
  int64_t step = 0;  // under way, or the one before evaluation and saving; counted from 1
  Phase phase = Phase::kStarting;
  bool in_action = false;
  Action action{};  // of the plan, if in_action
  // Changes of phase and action since the step began: the same number is the same place on ranks of one pipeline
  // stage.
  uint32_t ordinal = 0;
};

struct Position {
  Place place;
  Coord coord;
  int head_group = 0;  // the model's last group; 0: not known yet
};

enum class Operation : uint8_t {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kSend,
  kReceive,
  kAllGatherBytes
};

// A call on a communicator, and where it was made.
struct CallRecord {
  Operation operation = Operation::kAllReduce;
  DType dtype = DType::kF32;
  int peer = -1;             // in the communicator: the root of a broadcast, the other end of a transfer
  int64_t num_elements = 0;  // 0 for bytes of the host, which differ between ranks
  Place place;
};

// All collectives that a rank has issued on a communicator, to compare with the other ranks' (call_agreement.h).
struct CallTally {
  int64_t num_calls = 0;
  int64_t num_elements = 0;  // of all of them
  uint64_t digest = 0;       // of their operations, dtypes, sizes and roots, in order; 32 bits
  CallRecord last;
};

struct CommunicatorRecord {
  enum class Inside : uint8_t { kNothing, kCollective, kTransfer };
  static constexpr int kHistory = 4;

  uint64_t id = 0;    // the same on every rank of the group, and on no other group's
  char name[8] = {};  // "dp"; cut off where it is longer
  int rank = 0;       // of this rank, in the group
  int size = 1;
  Inside inside = Inside::kNothing;
  int64_t num_collectives = 0;  // begun; ranks of a group make the same ones, so equal numbers are the same call
  std::array<CallRecord, kHistory> collectives;  // number n (from 1) at n % kHistory
  CallRecord transfer;                           // the newest Send or Receive

  const CallRecord& Collective(int64_t n) const { return collectives[static_cast<size_t>(n % kHistory)]; }
  bool Remembers(int64_t n) const { return n > 0 && n <= num_collectives && n > num_collectives - kHistory; }
};

// Seconds of the newest steps: quartiles of what a rank did itself, waiting for others left out.
struct StepTimes {
  int32_t num_steps = 0;         // that are looked at
  float median_step = 0;         // s, waiting included
  float busy_quartiles[3] = {};  // s
};

// One reading of a record. Plain bytes: it travels between the processes of one job as it is.
struct RankSnapshot {
  static constexpr int kMaxCommunicators = 24;
  uint64_t num_changes = 0;
  Position position;
  StepTimes times;
  int32_t num_communicators = 0;
  std::array<CommunicatorRecord, kMaxCommunicators> communicators;  // the first num_communicators
};

class RankRecord {
 public:
  // The calls of one communicator. Written by the thread that runs them (one at a time).
  class Calls {
   public:
    void Begin(const CallRecord& call);
    void End();
    // A collective was issued; by the rank's own thread, whatever stream will run it.
    void Count(const CallRecord& call);
    const CallTally& tally() const { return tally_; }
    uint64_t id() const { return own_.id; }
    std::string name() const { return own_.name; }
    int rank() const { return own_.rank; }
    int size() const { return own_.size; }

   private:
    friend class RankRecord;
    RankRecord* record_ = nullptr;
    CommunicatorRecord own_;
    CallTally tally_;
    uint64_t hash_ = 0;
    int64_t began_ns_ = 0;
    Seqlock<CommunicatorRecord> published_;
  };

  RankRecord() = default;
  RankRecord(const RankRecord&) = delete;
  RankRecord& operator=(const RankRecord&) = delete;

  // --- By the rank's own thread ---
  void SetPlace(const Coord& coord, int head_group);
  void BeginStep(int64_t step);  // enters kLoadingData
  void Enter(Phase phase);
  void Enter(const Action& action);  // kLoadingData becomes kTraining
  void EndStep(double seconds);      // of the whole step
  // Something came forward in the same place, e.g. a tensor of a checkpoint: long work that counts is no stall.
  void CountProgress() { num_changes_.fetch_add(1, std::memory_order_relaxed); }
  const Position& position() const { return position_; }
  // A communicator of `id`. At most RankSnapshot::kMaxCommunicators in a record's life.
  Calls& AddCommunicator(uint64_t id, const std::string& name, int rank, int size);
  const Calls& communicator(int index) const { return communicators_[static_cast<size_t>(index)]; }

  // --- By any thread ---
  int num_communicators() const { return num_communicators_.load(std::memory_order_acquire); }
  uint64_t num_changes() const { return num_changes_.load(std::memory_order_relaxed); }
  RankSnapshot Read() const;

 private:
  static constexpr size_t kTimedSteps = 128;
  void Publish();
  StepTimes ReadTimes() const;

  Position position_;
  Seqlock<Position> published_position_;
  std::atomic<uint64_t> num_changes_{0};
  std::atomic<int64_t> waited_ns_{0};  // in calls, since the record began
  int64_t waited_before_step_ns_ = 0;
  std::atomic<int64_t> num_steps_{0};
  std::array<std::atomic<float>, kTimedSteps> step_s_{}, busy_s_{};
  std::atomic<int> num_communicators_{0};
  std::array<Calls, RankSnapshot::kMaxCommunicators> communicators_;
};

// The record of the rank that this thread works for. Where none was set it is one that nobody reads.
RankRecord& CurrentRecord();
void SetCurrentRecord(RankRecord* record);  // not owned; nullptr: none

}  // namespace weft
