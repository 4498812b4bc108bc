// Checks before trust (see shard_reader.h).
#include "checkpoint/shard_reader.h"

#include <algorithm>
#include <utility>

#include "core/sha256.h"

namespace weft {

std::vector<Extent> ExtentsOf(const CheckpointIndex& index, const std::string& file_name) {
  std::vector<Extent> extents;
  for (const auto& [name, tensor] : index.tensors) {
    for (const Box& box : tensor.boxes) {
      if (box.file == file_name) extents.push_back({box.offset, box.offset + box.num_bytes()});
    }
  }
  return extents;
}

StatusOr<std::string> StructureSha256(std::string_view bytes, std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  const auto size = static_cast<int64_t>(bytes.size());
  Sha256 sha256;
  int64_t done = 0;
  for (const Extent& extent : extents) {
    if (extent.begin < done || extent.end < extent.begin || extent.end > size) {
      return DataError("the index places a box at bytes ", extent.begin, " to ", extent.end, " of ", size);
    }
    sha256.Add(bytes.substr(static_cast<size_t>(done), static_cast<size_t>(extent.begin - done)));
    done = extent.end;
  }
  sha256.Add(bytes.substr(static_cast<size_t>(done)));
  return sha256.Hex();
}

StatusOr<ShardReader> ShardReader::Open(const std::string& folder, const std::string& file_name,
                                        const CheckpointIndex& index) {
  const auto row = index.files.find(file_name);
  if (row == index.files.end() || file_name.find('/') != std::string::npos) {
    return DataError(folder, "/index.h5 names the file ", file_name, " but does not describe it");
  }
  const std::string path = StrCat(folder, "/", file_name);
  WEFT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  const auto size = static_cast<int64_t>(file.bytes().size());
  if (size != row->second.bytes) {
    return DataError(path, ": ", size, " bytes where the checkpoint's index says ", row->second.bytes,
                     "; the file was truncated or replaced");
  }
  StatusOr<std::string> structure = StructureSha256(file.bytes(), ExtentsOf(index, file_name));
  if (!structure.ok()) return WithContext(structure.status(), path);
  if (*structure != row->second.structure_sha256) {
    return DataError(path, ": altered since it was written (its HDF5 structure has another checksum)");
  }
  return ShardReader(path, std::move(file));
}

StatusOr<std::string_view> ShardReader::Read(const Box& box) {
  const std::string_view values =
      file_.bytes().substr(static_cast<size_t>(box.offset), static_cast<size_t>(box.num_bytes()));
  if (verified_.contains(box.offset)) return values;
  if (Sha256::Of(values) != box.sha256) {
    return DataError(path_, ": ", box.dataset, " was altered since it was written (its checksum differs)");
  }
  verified_.insert(box.offset);
  return values;
}

}  // namespace weft
