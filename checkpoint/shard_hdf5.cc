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
constexpr size_t kFlushBytes = size_t{256} << 20;    // seconds of a slow disk's time

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

}  // namespace

StatusOr<ShardWriter> ShardWriter::Create(const std::string& folder, const std::string& file_name,
                                          const std::vector<TensorPiece>& pieces) {
  ShardWriter writer(StrCat(folder, "/", file_name), file_name);
  for (const TensorPiece& piece : pieces) writer.CutIntoBoxes(piece);
  WEFT_RETURN_IF_ERROR(WithContext(writer.WriteStructure(), writer.path_));
  return writer;
}

// The piece cut by rows; where each box lies and its checksum are not known yet.
void ShardWriter::CutIntoBoxes(const TensorPiece& piece) {
  WEFT_CHECK(piece.data.dtype() == DType::kF32 && !piece.data.device().is_cuda()) << piece.name;
  const Shape& shape = piece.global_shape;
  WEFT_CHECK(shape.num_dims() == 1 || shape.num_dims() == 2) << piece.name << " " << shape;
  const int64_t row_bytes = (piece.col_end - piece.col_begin) * static_cast<int64_t>(sizeof(float));
  const int64_t rows_per_box = std::max<int64_t>(1, kMaxBoxBytes / row_bytes);
  std::string_view values(static_cast<const char*>(piece.data.raw()), piece.data.num_bytes());
  for (int64_t row = piece.row_begin; row < piece.row_end; row += rows_per_box) {
    Box box = {row, std::min(row + rows_per_box, piece.row_end), piece.col_begin, piece.col_end, file_name_};
    box.dataset = StrCat(piece.name, RangeText({shape.begin(), shape.end()}, box));
    const auto num_bytes = static_cast<size_t>(box.num_bytes());
    WEFT_CHECK_LE(num_bytes, values.size()) << piece.name;
    boxes_.push_back({&piece, values.substr(0, num_bytes), std::move(box)});
    values.remove_prefix(num_bytes);
  }
  WEFT_CHECK(values.empty()) << piece.name;
}

Status ShardWriter::WriteStructure() {
  const hdf5::Quiet quiet;
  WEFT_ASSIGN_OR_RETURN(hdf5::Handle file, hdf5::CreateFile(path_, 0));
  for (BoxToWrite& each : boxes_) {
    WEFT_RETURN_IF_ERROR(LayOut(file, each.piece->global_shape.num_dims(), &each.box));
    CurrentRecord().CountProgress();
  }
  return file.Close();
}

// Flushed piece by piece: each counts as progress, which one flush of a large shard to a slow disk would not.
StatusOr<CheckpointIndex> ShardWriter::WriteValues() {
  WEFT_ASSIGN_OR_RETURN(const FileWriter file, FileWriter::Open(path_));
  size_t unflushed = 0;
  for (BoxToWrite& each : boxes_) {
    each.box.sha256 = Sha256::Of(each.values);
    WEFT_RETURN_IF_ERROR(file.WriteAt(each.box.offset, each.values));
    unflushed += each.values.size();
    if (unflushed >= kFlushBytes) {
      WEFT_RETURN_IF_ERROR(file.FlushData());
      unflushed = 0;
    }
    CurrentRecord().CountProgress();
  }
  WEFT_RETURN_IF_ERROR(SyncFile(path_));
  return Describe();
}

StatusOr<CheckpointIndex> ShardWriter::Describe() {
  CheckpointIndex index;
  for (BoxToWrite& each : boxes_) {
    IndexedTensor& tensor = index.tensors[each.piece->name];
    tensor.shape.assign(each.piece->global_shape.begin(), each.piece->global_shape.end());
    tensor.transposed = each.piece->transposed;
    tensor.boxes.push_back(std::move(each.box));
  }
  WEFT_ASSIGN_OR_RETURN(const MappedFile written, MappedFile::Open(path_));
  StatusOr<std::string> structure = StructureSha256(written.bytes(), ExtentsOf(index, file_name_));
  if (!structure.ok()) return WithContext(structure.status(), path_);
  index.files[file_name_] = {static_cast<int64_t>(written.bytes().size()), *std::move(structure)};
  return index;
}

}  // namespace weft
