// HDF5 calls behind shard_hdf5.h.
#include "checkpoint/shard_hdf5.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/sha256.h"
#include "checkpoint/shard_reader.h"
#include "core/check.h"
#include "core/file.h"
#include "core/hdf5_file.h"
#include "parallel/rank_record.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "boxes are stored and read as they lie in memory");

constexpr int64_t kMaxBoxBytes = int64_t{64} << 20;  // what a loader must read to verify one of its rows

struct BoxToWrite {
  const TensorPiece* piece;
  std::string_view values;
  Box box;
};

// The piece cut by rows; where each box lies and its checksum are not known yet.
void CutIntoBoxes(const TensorPiece& piece, const std::string& file_name, std::vector<BoxToWrite>* boxes) {
  WEFT_CHECK(piece.data.dtype() == DType::kF32 && !piece.data.device().is_cuda()) << piece.name;
  const Shape& shape = piece.global_shape;
  WEFT_CHECK(shape.num_dims() == 1 || shape.num_dims() == 2) << piece.name << " " << shape;
  const int64_t row_bytes = (piece.col_end - piece.col_begin) * static_cast<int64_t>(sizeof(float));
  const int64_t rows_per_box = std::max<int64_t>(1, kMaxBoxBytes / row_bytes);
  std::string_view values(static_cast<const char*>(piece.data.raw()), piece.data.num_bytes());
  for (int64_t row = piece.row_begin; row < piece.row_end; row += rows_per_box) {
    Box box = {row, std::min(row + rows_per_box, piece.row_end), piece.col_begin, piece.col_end, file_name};
    box.dataset = StrCat(piece.name, RangeText({shape.begin(), shape.end()}, box));
    const auto num_bytes = static_cast<size_t>(box.num_bytes());
    WEFT_CHECK_LE(num_bytes, values.size()) << piece.name;
    boxes->push_back({&piece, values.substr(0, num_bytes), std::move(box)});
    values.remove_prefix(num_bytes);
  }
  WEFT_CHECK(values.empty()) << piece.name;
}

// Makes room for `box` as a dataset of the file and says where that is.
Status LayOut(const hdf5::Handle& file, int num_dims, Box* box) {
  const std::array<hsize_t, 2> extents = {static_cast<hsize_t>(box->num_rows()), static_cast<hsize_t>(box->num_columns())};
  const hdf5::Handle space(H5Screate_simple(num_dims, extents.data(), nullptr));
  const hdf5::Handle creation(H5Pcreate(H5P_DATASET_CREATE)), links(H5Pcreate(H5P_LINK_CREATE));
  if (H5Pset_layout(creation.id(), H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_EARLY) < 0 ||
      H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(creation.id(), false) < 0 ||
      H5Pset_create_intermediate_group(links.id(), 1) < 0) {
    return hdf5::LastError(StrCat("cannot set up ", box->dataset));
  }
  const hdf5::Handle dataset(
      H5Dcreate2(file.id(), box->dataset.c_str(), H5T_IEEE_F32LE, space.id(), links.id(), creation.id(), H5P_DEFAULT));
  if (!dataset.valid()) return hdf5::LastError(StrCat("cannot create ", box->dataset));
  const haddr_t offset = H5Dget_offset(dataset.id());
  if (offset == HADDR_UNDEF) return hdf5::LastError(StrCat("cannot place ", box->dataset));
  box->offset = static_cast<int64_t>(offset);
  return absl::OkStatus();
}

// All of the file but the values.
Status WriteStructure(const std::string& path, std::vector<BoxToWrite>* boxes) {
  const hdf5::Quiet quiet;
  WEFT_ASSIGN_OR_RETURN(hdf5::Handle file, hdf5::CreateFile(path, 0));
  for (BoxToWrite& each : *boxes) {
    WEFT_RETURN_IF_ERROR(WithContext(LayOut(file, each.piece->global_shape.num_dims(), &each.box), path));
    CurrentRecord().CountProgress();
  }
  return WithContext(file.Close(), path);
}

// Past libhdf5: its one lock would be held while the disk is waited for, and a run that trains on meanwhile reads its
// token store under the same lock.
Status WriteValues(const std::string& path, std::vector<BoxToWrite>* boxes) {
  WEFT_ASSIGN_OR_RETURN(const FileWriter file, FileWriter::Open(path));
  for (BoxToWrite& each : *boxes) {
    WEFT_RETURN_IF_ERROR(file.WriteAt(each.box.offset, each.values));
    each.box.sha256 = Sha256::Of(each.values);
    CurrentRecord().CountProgress();
  }
  return SyncFile(path);
}

}  // namespace

StatusOr<CheckpointIndex> WriteShard(const std::string& folder, const std::string& file_name,
                                     const std::vector<TensorPiece>& pieces) {
  const std::string path = StrCat(folder, "/", file_name);
  std::vector<BoxToWrite> boxes;
  for (const TensorPiece& piece : pieces) CutIntoBoxes(piece, file_name, &boxes);
  WEFT_RETURN_IF_ERROR(WriteStructure(path, &boxes));
  WEFT_RETURN_IF_ERROR(WriteValues(path, &boxes));
  CheckpointIndex index;
  for (BoxToWrite& each : boxes) {
    IndexedTensor& tensor = index.tensors[each.piece->name];
    tensor.shape.assign(each.piece->global_shape.begin(), each.piece->global_shape.end());
    tensor.transposed = each.piece->transposed;
    tensor.boxes.push_back(std::move(each.box));
  }
  WEFT_ASSIGN_OR_RETURN(const MappedFile written, MappedFile::Open(path));
  StatusOr<std::string> structure = StructureSha256(written.bytes(), ExtentsOf(index, file_name));
  if (!structure.ok()) return WithContext(structure.status(), path);
  index.files[file_name] = {static_cast<int64_t>(written.bytes().size()), *std::move(structure)};
  return index;
}

}  // namespace weft
