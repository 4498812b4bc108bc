// Writing of a shard: an HDF5 file of one rank's pieces, cut into boxes of a bounded size, each a contiguous dataset.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/index.h"
#include "checkpoint/tensor_piece.h"

namespace weft {

// Writes `folder`/`file_name` and flushes it to disk. Answers the part of the index that describes it.
StatusOr<CheckpointIndex> WriteShard(const std::string& folder, const std::string& file_name,
                                     const std::vector<TensorPiece>& pieces);

}  // namespace weft
