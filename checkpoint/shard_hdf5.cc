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

// The piece cut by rows, without file and checksum yet.
std::vector<Box> CutIntoBoxes(const TensorPiece& piece) {
  const Box whole = {piece.row_begin, piece.row_end, piece.col_begin, piece.col_end};
  const int64_t row_bytes = whole.num_columns() * static_cast<int64_t>(sizeof(float));
  const int64_t rows_per_box = std::max<int64_t>(1, kMaxBoxBytes / row_bytes);
  std::vector<Box> boxes;
  for (int64_t row = piece.row_begin; row < piece.row_end; row += rows_per_box) {
    boxes.push_back({row, std::min(row + rows_per_box, piece.row_end), piece.col_begin, piece.col_end});
  }
  return boxes;
}

// Writes `values` as box->dataset and fills in where it lies.
Status WriteBox(const hdf5::Handle& file, int num_dims, std::string_view values, Box* box) {
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
  if (!dataset.valid() ||
      H5Dwrite(dataset.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    return hdf5::LastError(StrCat("cannot write ", box->dataset));
  }
  const haddr_t offset = H5Dget_offset(dataset.id());
  if (offset == HADDR_UNDEF) return hdf5::LastError(StrCat("cannot place ", box->dataset));
  box->offset = static_cast<int64_t>(offset);
  box->sha256 = Sha256::Of(values);
  return absl::OkStatus();
}

Status WritePiece(const hdf5::Handle& file, const std::string& file_name, const TensorPiece& piece, CheckpointIndex* index) {
  WEFT_CHECK(piece.data.dtype() == DType::kF32 && !piece.data.device().is_cuda()) << piece.name;
  const int num_dims = piece.global_shape.num_dims();
  WEFT_CHECK(num_dims == 1 || num_dims == 2) << piece.name << " " << piece.global_shape;
  IndexedTensor& tensor = index->tensors[piece.name];
  tensor.shape.assign(piece.global_shape.begin(), piece.global_shape.end());
  tensor.transposed = piece.transposed;
  const char* values = static_cast<const char*>(piece.data.raw());
  size_t written = 0;
  for (Box& box : CutIntoBoxes(piece)) {
    const size_t num_bytes = static_cast<size_t>(box.num_bytes());
    WEFT_CHECK_LE(written + num_bytes, piece.data.num_bytes()) << piece.name;
    box.file = file_name;
    box.dataset = StrCat(piece.name, RangeText(tensor.shape, box));
    WEFT_RETURN_IF_ERROR(WriteBox(file, num_dims, {values + written, num_bytes}, &box));
    CurrentRecord().CountProgress();
    written += num_bytes;
    tensor.boxes.push_back(std::move(box));
  }
  WEFT_CHECK_EQ(written, piece.data.num_bytes()) << piece.name;
  return absl::OkStatus();
}

}  // namespace

StatusOr<CheckpointIndex> WriteShard(const std::string& folder, const std::string& file_name,
                                     const std::vector<TensorPiece>& pieces) {
  const std::string path = StrCat(folder, "/", file_name);
  const hdf5::Quiet quiet;
  CheckpointIndex index;
  WEFT_ASSIGN_OR_RETURN(hdf5::Handle file, hdf5::CreateFile(path, 0));
  for (const TensorPiece& piece : pieces) {
    WEFT_RETURN_IF_ERROR(WithContext(WritePiece(file, file_name, piece, &index), path));
  }
  WEFT_RETURN_IF_ERROR(WithContext(file.Close(), path));
  WEFT_RETURN_IF_ERROR(SyncFile(path));
  WEFT_ASSIGN_OR_RETURN(const MappedFile written, MappedFile::Open(path));
  StatusOr<std::string> structure = StructureSha256(written.bytes(), ExtentsOf(index, file_name));
  if (!structure.ok()) return WithContext(structure.status(), path);
  index.files[file_name] = {static_cast<int64_t>(written.bytes().size()), *std::move(structure)};
  return index;
}

}  // namespace weft
