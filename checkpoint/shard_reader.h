// Reading of a shard by the index alone: mapped into memory, every byte that is used verified, libhdf5 not involved.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/index.h"
#include "core/file.h"

namespace weft {

// Where a box lies in its file.
struct Extent {
  int64_t begin = 0, end = 0;  // bytes
};
std::vector<Extent> ExtentsOf(const CheckpointIndex& index, const std::string& file_name);

// SHA-256 of the bytes outside all extents, in order. Fails where extents overlap or leave the file.
StatusOr<std::string> StructureSha256(std::string_view bytes, std::vector<Extent> extents);

class ShardReader {
 public:
  // Fails where the file is absent, of another size than the index says, or altered outside its boxes.
  static StatusOr<ShardReader> Open(const std::string& folder, const std::string& file_name, const CheckpointIndex& index);

  // The box's values, row by row, f32, not aligned. Fails, naming file and dataset, where their checksum differs.
  StatusOr<std::string_view> Read(const Box& box);

 private:
  ShardReader(std::string path, MappedFile file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  MappedFile file_;
  std::set<int64_t> verified_;  // offsets of boxes
};

}  // namespace weft
