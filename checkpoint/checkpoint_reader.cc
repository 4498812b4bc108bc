// From an index to pieces: find the boxes that overlap, verify, copy (see checkpoint_reader.h).
#include "checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "checkpoint/checkpoint_folders.h"
#include "checkpoint/index_hdf5.h"
#include "core/check.h"
#include "core/progress.h"
#include "parallel/rank_record.h"

namespace weft {
namespace {

constexpr size_t kMostNamesInAMessage = 10;

// Copies what `piece` and `box` share. values: the box's, row by row.
void CopyOverlap(const TensorPiece& piece, const Box& box, std::string_view values) {
  const int64_t row_begin = std::max(piece.row_begin, box.row_begin), row_end = std::min(piece.row_end, box.row_end);
  const int64_t col_begin = std::max(piece.col_begin, box.col_begin), col_end = std::min(piece.col_end, box.col_end);
  if (row_begin >= row_end || col_begin >= col_end) return;
  const int64_t piece_columns = piece.col_end - piece.col_begin;
  const size_t width = static_cast<size_t>(col_end - col_begin) * sizeof(float);
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int64_t from = (row - box.row_begin) * box.num_columns() + col_begin - box.col_begin;
    const int64_t to = (row - piece.row_begin) * piece_columns + col_begin - piece.col_begin;
    std::memcpy(piece.data.data<float>() + to, values.data() + static_cast<size_t>(from) * sizeof(float), width);
  }
}

bool Overlap(const TensorPiece& piece, const Box& box) {
  return piece.row_begin < box.row_end && box.row_begin < piece.row_end && piece.col_begin < box.col_end &&
         box.col_begin < piece.col_end;
}

void CheckPiece(const TensorPiece& piece) {
  const int64_t rows = piece.row_end - piece.row_begin, columns = piece.col_end - piece.col_begin;
  WEFT_CHECK(piece.data.dtype() == DType::kF32 && !piece.data.device().is_cuda()) << piece.name;
  WEFT_CHECK_EQ(rows * columns, piece.data.num_elements()) << piece.name;
  WEFT_CHECK(0 <= piece.row_begin && piece.row_end <= piece.global_shape[0] && 0 <= piece.col_begin &&
             piece.col_end <= piece.global_shape.row_elements())
      << piece.name << " " << piece.global_shape;
}

Shape ShapeOf(const IndexedTensor& tensor) {
  Shape shape;
  for (int64_t extent : tensor.shape) shape.Append(extent);
  return shape;
}

}  // namespace

StatusOr<CheckpointReader> CheckpointReader::Open(const std::string& checkpoint) {
  WEFT_RETURN_IF_ERROR(CheckMarker(checkpoint));
  WEFT_ASSIGN_OR_RETURN(IndexFile file, ReadIndexFile(IndexPath(checkpoint)));
  return CheckpointReader(checkpoint, std::move(file.info), std::move(file.index));
}

std::vector<CheckpointTensor> CheckpointReader::Tensors() const {
  std::vector<CheckpointTensor> tensors;
  for (const auto& [name, tensor] : index_.tensors) tensors.push_back({name, ShapeOf(tensor), tensor.transposed});
  return tensors;
}

Status CheckpointReader::Load(const std::vector<TensorPiece>& pieces) {
  WEFT_RETURN_IF_ERROR(CheckNames(pieces));
  for (const TensorPiece& piece : pieces) WEFT_RETURN_IF_ERROR(LoadPiece(piece));
  return absl::OkStatus();
}

Status CheckpointReader::CheckNames(const std::vector<TensorPiece>& pieces) const {
  std::string wrong;
  size_t num_wrong = 0;
  for (const TensorPiece& piece : pieces) {
    const auto row = index_.tensors.find(piece.name);
    if (row != index_.tensors.end() && ShapeOf(row->second) == piece.global_shape) continue;
    if (++num_wrong > kMostNamesInAMessage) continue;
    StrAppend(&wrong, "\n  ", piece.name, " ", piece.global_shape.ToString(),
              row == index_.tensors.end() ? ": absent" : StrCat(": has shape ", ShapeOf(row->second).ToString()));
  }
  if (num_wrong == 0) return absl::OkStatus();
  if (num_wrong > kMostNamesInAMessage) StrAppend(&wrong, "\n  and ", num_wrong - kMostNamesInAMessage, " more");
  return UserError("the checkpoint ", folder_, " does not fit the model:", wrong);
}

Status CheckpointReader::LoadPiece(const TensorPiece& piece) {
  CheckPiece(piece);
  // The boxes tile the tensor (checked with the index), so all that overlap cover the piece.
  for (const Box& box : index_.tensors.at(piece.name).boxes) {
    if (!Overlap(piece, box)) continue;
    WEFT_ASSIGN_OR_RETURN(ShardReader* const shard, ShardOf(box));
    WEFT_ASSIGN_OR_RETURN(const std::string_view values, shard->Read(box));
    CopyOverlap(piece, box, values);
    CurrentRecord().CountProgress();
  }
  return absl::OkStatus();
}

StatusOr<ShardReader*> CheckpointReader::ShardOf(const Box& box) {
  const auto opened = shards_.find(box.file);
  if (opened != shards_.end()) return &opened->second;
  WEFT_ASSIGN_OR_RETURN(ShardReader shard, ShardReader::Open(folder_, box.file, index_));
  return &shards_.emplace(box.file, std::move(shard)).first->second;
}

Status CheckpointReader::Verify() {
  int64_t total_bytes = 0;
  for (const auto& [name, file] : index_.files) total_bytes += file.bytes;
  Progress progress("verifying", total_bytes, "bytes");
  for (const auto& [file_name, file] : index_.files) {  // one at a time: a shard stays mapped
    WEFT_ASSIGN_OR_RETURN(ShardReader shard, ShardReader::Open(folder_, file_name, index_));
    for (const auto& [name, tensor] : index_.tensors) {
      for (const Box& box : tensor.boxes) {
        if (box.file != file_name) continue;
        WEFT_RETURN_IF_ERROR(shard.Read(box).status());
        progress.Advance(box.num_bytes());
      }
    }
  }
  return absl::OkStatus();
}

StatusOr<CheckpointInfo> ReadCheckpointInfo(const std::string& checkpoint) {
  WEFT_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(checkpoint));
  return reader.info();
}

StatusOr<std::vector<CheckpointTensor>> ListCheckpointTensors(const std::string& checkpoint) {
  WEFT_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(checkpoint));
  return reader.Tensors();
}

Status LoadCheckpointPieces(const std::string& checkpoint, const std::vector<TensorPiece>& pieces) {
  WEFT_ASSIGN_OR_RETURN(CheckpointReader reader, CheckpointReader::Open(checkpoint));
  return reader.Load(pieces);
}

Status VerifyCheckpoint(const std::string& checkpoint) {
  WEFT_ASSIGN_OR_RETURN(CheckpointReader reader, CheckpointReader::Open(checkpoint));
  return reader.Verify();
}

}  // namespace weft
