// RunSaves: the checkpoints that a run writes, and which of them stay.
//
// A save in passing is taken at the end of a step and written while the run trains on, one at a time (after CheckFreq,
// Mohan et al., FAST 2021): copied to host memory, written by a thread a rank, and put into its place by all ranks at the
// end of the first step before which no rank was still writing. Every call that is collective is made by all ranks at the
// same place of their program; the thread makes none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "checkpoint/checkpoint_save.h"
#include "core/stream.h"
#include "parallel/param_store.h"
#include "trainer/run_config.h"
#include "trainer/train_state.h"

namespace weft {

// Whether the run makes saves while it trains on, and so holds a snapshot.
bool SavesAsynchronously(const RunConfig& config);

class RunSaves {
 public:
  // Allocates the snapshot, where the run needs one. All arguments outlive it; `stream` is the one that computes.
  RunSaves(const RunConfig& config, const ParamStore& params, Stream& stream, Communicator& world);

  // Whether this rank's part of the save under way is still being written: each rank's share of `ranks_writing`.
  bool IsWriting() const { return under_way_ != nullptr && under_way_->IsWriting(); }

  // All below are collective; every rank returns the same status. A save in passing that fails is an error or a warning, as
  // checkpoint.on_failure says, that names its step; what was saved before stays. Checkpoints that cannot be pruned are a
  // warning: they have failed no save.

  // Saves the state as it is now, in the background where the configuration asks for it (one that is still under way is
  // waited for first).
  Status SaveInPassing(const CheckpointInfo& info);
  // Completes the save under way, if there is one and no rank is still writing it.
  Status CompleteIfWritten(int64_t ranks_writing);
  // Completes the save under way, if there is one, and waits for it: before anything that must find it complete.
  Status Complete();
  // Saves the state as it is now and waits. There is no later one to make up for it: a failure always is an error. One of
  // the save before, which this one makes up for, is a warning.
  Status SaveLast(const CheckpointInfo& info);

 private:
  Status Save(const CheckpointInfo& info);
  Status Begin(const CheckpointInfo& info);
  void Saved(int64_t step) const;
  Status Judge(const Status& status, int64_t step) const;
  Status Prune() const;
  bool is_first() const { return world_.rank() == 0; }

  const RunConfig& config_;
  const ParamStore& params_;
  Stream& stream_;
  Communicator& world_;
  std::optional<TrainStateSnapshot> snapshot_;
  std::unique_ptr<CheckpointSave> under_way_;  // reads the snapshot
};

}  // namespace weft
