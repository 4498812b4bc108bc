// Writing of a shard: an HDF5 file of one rank's pieces, cut into boxes of a bounded size, each a contiguous dataset.
//
// First its structure, by libhdf5, then the values, past it. So a thread of its own can write the values, which takes long,
// while the rank reads its token store: of a process's threads only one calls libhdf5, and nobody waits for its one lock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/index.h"
#include "checkpoint/tensor_piece.h"

namespace weft {

class ShardWriter {
 public:
  // Writes `folder`/`file_name` but for the values. `pieces` and their memory outlive the writer.
  static StatusOr<ShardWriter> Create(const std::string& folder, const std::string& file_name, const std::vector<TensorPiece>& pieces);

  // Writes the values and flushes the file to disk; from any thread, once. Answers the part of the index that describes it.
  StatusOr<CheckpointIndex> WriteValues();

 private:
  struct BoxToWrite {
    const TensorPiece* piece;
    std::string_view values;
    Box box;  // its offset is known from Create on, its checksum from WriteValues
  };

  ShardWriter(std::string path, std::string file_name) : path_(std::move(path)), file_name_(std::move(file_name)) {}
  void CutIntoBoxes(const TensorPiece& piece);
  Status WriteStructure();
  StatusOr<CheckpointIndex> Describe();

  std::string path_, file_name_;
  std::vector<BoxToWrite> boxes_;
};

}  // namespace weft
