// CheckpointSave: a save in its parts, so that a run can train on while its state is written.
//
// Start and Finish are collective; what takes long, the writing of the shards' values, lies between them, needs no other rank
// and no libhdf5, and is done by a thread of its own. SaveCheckpoint is one after the other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/index.h"
#include "checkpoint/shard_hdf5.h"
#include "parallel/rank_record.h"

namespace weft {

class CheckpointSave {
 public:
  // Makes RUN/checkpoints/step-N.partial and begins to write this rank's pieces there. Their memory stays as it is until
  // Finish. Collective: every rank returns the same status.
  static StatusOr<std::unique_ptr<CheckpointSave>> Start(const std::string& run_folder, const CheckpointInfo& info,
                                                         std::vector<TensorPiece> pieces, Communicator& world);
  // Waits for the thread. A save that was not finished is no checkpoint: its step-N.partial stays, and the next prune
  // removes it.
  ~CheckpointSave();

  int64_t step() const { return info_.step; }
  // Whether this rank's shard is still being written. Once it is not, Finish says whether that went well.
  bool IsWriting() const { return !is_written_.load(std::memory_order_acquire); }

  // Waits for this rank's shard and all others, then writes the index and puts the checkpoint into its place. Collective,
  // once: every rank returns the same status; on an error nothing that looks like a checkpoint is left. What is written
  // meanwhile counts as progress of the rank that waits.
  Status Finish();

 private:
  CheckpointSave(const std::string& run_folder, const CheckpointInfo& info, std::vector<TensorPiece> pieces, Communicator& world);
  void StartWriting();
  void StartThread();
  void Write();
  void AwaitThread();

  const std::string run_folder_;
  const CheckpointInfo info_;
  const std::vector<TensorPiece> pieces_;
  Communicator& world_;
  std::optional<ShardWriter> shard_;  // of this rank, if it has pieces; the thread's while it writes
  RankRecord thread_record_;  // counts what the thread has written; the rank's own belongs to its step
  std::mutex mutex_;
  std::condition_variable written_;
  std::atomic<bool> is_written_{true};  // false while the thread writes; set under the mutex, with mine_
  StatusOr<CheckpointIndex> mine_{CheckpointIndex{}};
  std::thread thread_;
};

}  // namespace weft
