// index.h5: the index as a text, what is not a tensor, and virtual datasets that show each tensor whole to h5py and
// h5dump. weft never loads through those: where a source file is missing HDF5 answers fill values without an error.
#pragma once

#include <string>

#include "checkpoint/index.h"

namespace weft {

Status WriteIndexFile(const std::string& path, const CheckpointInfo& info, const CheckpointIndex& index);

struct IndexFile {
  CheckpointInfo info;
  CheckpointIndex index;
};
// For bytes that were checked before: libhdf5 does not survive every damaged file.
StatusOr<IndexFile> ReadIndexFile(const std::string& path);

}  // namespace weft
