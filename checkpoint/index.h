// CheckpointIndex: which box of which tensor lies where in which shard, with the checksums that guard every byte.
//
// A box is a rectangle of a global tensor, stored as one contiguous f32 dataset. Each byte of a shard belongs to a box or
// to HDF5's own structure around them, and both are under a checksum. So a loader that knows the index reads a box by its
// offset, and no altered structure ever reaches libhdf5 (which crashes on hostile files).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/status.h"

namespace weft {

struct Box {
  int64_t row_begin = 0, row_end = 0;  // of dim 0
  int64_t col_begin = 0, col_end = 0;  // of dim 1; [0, 1) for a vector
  std::string file;                    // "rank-0.h5"
  std::string dataset;                 // "weights/model.norm.weight[0:64]"
  int64_t offset = 0;                  // of its first byte in the file
  std::string sha256;                  // of its bytes, little-endian f32

  int64_t num_rows() const { return row_end - row_begin; }
  int64_t num_columns() const { return col_end - col_begin; }
  int64_t num_bytes() const { return num_rows() * num_columns() * static_cast<int64_t>(sizeof(float)); }
};

struct IndexedTensor {
  std::vector<int64_t> shape;  // 1 or 2 dims
  bool transposed = false;     // Hugging Face's tensor is the transpose (TensorPiece)
  std::vector<Box> boxes;      // by row, then column; they tile the tensor
};

struct IndexedFile {
  int64_t bytes = 0;
  std::string structure_sha256;  // of all bytes outside boxes, in order
};

struct CheckpointIndex {
  std::map<std::string, IndexedFile> files;      // by name, relative to the checkpoint
  std::map<std::string, IndexedTensor> tensors;  // by name, with its kind

  std::string ToJson() const;
  static StatusOr<CheckpointIndex> FromJson(std::string_view text);

  // Adds what another rank wrote. Fails where the two disagree on a tensor's shape.
  Status Merge(CheckpointIndex other);
  // Sorts the boxes of every tensor and fails, naming it, unless they tile it exactly once.
  Status SortAndCheckTiling();
};

// The box's rows and columns, for names and messages: "[0:64,32:64]", "[0:64]" of a vector.
std::string RangeText(const std::vector<int64_t>& shape, const Box& box);

}  // namespace weft
