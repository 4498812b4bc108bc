// The tensors of a training run in and out of files: masters and moments as a checkpoint, weights from a model folder.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/arena.h"
#include "parallel/param_store.h"

namespace weft {

// Writes masters and both moments: each rank what it owns and votes for, so that every box is written once. Collective.
Status SaveTrainState(Stream& stream, const ParamStore& params, const std::string& run_folder,
                      const CheckpointInfo& info, Communicator& world);

// Host memory for a copy of what SaveTrainState writes: 12 bytes for each element that the rank writes. A save reads it
// while the run trains on.
class TrainStateSnapshot {
 public:
  // Allocates, page-locked where `params` are on a GPU. `params` outlive it.
  explicit TrainStateSnapshot(const ParamStore& params);
  // What it allocates, of a rank with this layout.
  static size_t BytesOf(const ParamLayout& layout);

  // Copies the state as it is after all work issued on `stream`, and waits until that is done. The pieces look into this
  // snapshot and hold until the next.
  std::vector<TensorPiece> Take(Stream& stream);
  const Arena& arena() const { return arena_; }

 private:
  const ParamStore& params_;
  Arena arena_;
  TensorView memory_;  // [elements] f32: parameter by parameter, of each its master and its two moments
};

// The reverse, and the weights refreshed.
Status LoadTrainState(Stream& stream, ParamStore& params, const std::string& checkpoint);

// Masters from a Hugging Face folder, moments zero, weights refreshed.
Status LoadWeights(Stream& stream, ParamStore& params, const std::string& model_folder);

}  // namespace weft
