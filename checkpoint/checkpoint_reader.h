// CheckpointReader: an opened checkpoint, for who reads it more than once (an export takes tensor after tensor).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/index.h"
#include "checkpoint/shard_reader.h"

namespace weft {

class CheckpointReader {
 public:
  // Verifies the marker and the index; shards are opened, and verified, when first read.
  static StatusOr<CheckpointReader> Open(const std::string& checkpoint);

  const CheckpointInfo& info() const { return info_; }
  std::vector<CheckpointTensor> Tensors() const;
  // As LoadCheckpointPieces.
  Status Load(const std::vector<TensorPiece>& pieces);
  // As VerifyCheckpoint, what of it Open has not.
  Status Verify();

 private:
  CheckpointReader(std::string folder, CheckpointInfo info, CheckpointIndex index)
      : folder_(std::move(folder)), info_(std::move(info)), index_(std::move(index)) {}
  Status CheckNames(const std::vector<TensorPiece>& pieces) const;
  Status LoadPiece(const TensorPiece& piece);
  StatusOr<ShardReader*> ShardOf(const Box& box);

  std::string folder_;
  CheckpointInfo info_;
  CheckpointIndex index_;
  std::map<std::string, ShardReader> shards_;  // by file name
};

}  // namespace weft
