// The index as JSON, and the proof that boxes tile their tensors (see index.h).
#include "checkpoint/index.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

namespace weft {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Box, row_begin, row_end, col_begin, col_end, file, dataset, offset, sha256)

// `transposed` stands only where it is true, so that most indices read as they did before it came.
void to_json(nlohmann::json& json, const IndexedTensor& tensor) {
  json = {{"shape", tensor.shape}, {"boxes", tensor.boxes}};
  if (tensor.transposed) json["transposed"] = true;
}
void from_json(const nlohmann::json& json, IndexedTensor& tensor) {
  json.at("shape").get_to(tensor.shape);
  json.at("boxes").get_to(tensor.boxes);
  tensor.transposed = json.value("transposed", false);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(IndexedFile, bytes, structure_sha256)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckpointIndex, files, tensors)

namespace {

int64_t Columns(const std::vector<int64_t>& shape) { return shape.size() == 2 ? shape[1] : 1; }

Status CheckBox(const std::string& name, const IndexedTensor& tensor, const Box& box) {
  const bool inside = 0 <= box.row_begin && box.row_begin < box.row_end && box.row_end <= tensor.shape[0] &&
                      0 <= box.col_begin && box.col_begin < box.col_end && box.col_end <= Columns(tensor.shape);
  if (!inside) return DataError(name, ": the box ", RangeText(tensor.shape, box), " lies outside the tensor");
  return absl::OkStatus();
}

// Boxes inside the tensor, none overlapping another, tile it exactly when their areas add up.
Status CheckTiling(const std::string& name, const IndexedTensor& tensor) {
  int64_t area = 0;
  for (size_t i = 0; i < tensor.boxes.size(); ++i) {
    const Box& box = tensor.boxes[i];
    WEFT_RETURN_IF_ERROR(CheckBox(name, tensor, box));
    area += box.num_rows() * box.num_columns();
    for (size_t j = i + 1; j < tensor.boxes.size() && tensor.boxes[j].row_begin < box.row_end; ++j) {
      const Box& other = tensor.boxes[j];
      if (other.col_begin < box.col_end && box.col_begin < other.col_end) {
        return DataError(name, ": ", box.file, " and ", other.file, " both hold a part of ",
                         RangeText(tensor.shape, other));
      }
    }
  }
  const int64_t whole = tensor.shape[0] * Columns(tensor.shape);
  if (area != whole) return DataError(name, ": ", whole - area, " of its ", whole, " elements are in no file");
  return absl::OkStatus();
}

}  // namespace

std::string CheckpointIndex::ToJson() const { return nlohmann::json(*this).dump(); }

StatusOr<CheckpointIndex> CheckpointIndex::FromJson(std::string_view text) {
  try {
    return nlohmann::json::parse(text).get<CheckpointIndex>();
  } catch (const nlohmann::json::exception& error) {
    return DataError("the index is not readable: ", error.what());
  }
}

Status CheckpointIndex::Merge(CheckpointIndex other) {
  files.merge(other.files);
  for (auto& [name, tensor] : other.tensors) {
    const auto [slot, is_new] = tensors.try_emplace(name, std::move(tensor));
    if (is_new) continue;
    if (slot->second.shape != tensor.shape) return DataError(name, ": ranks disagree on its shape");
    if (slot->second.transposed != tensor.transposed) {
      return DataError(name, ": ranks disagree on whether it is stored transposed");
    }
    std::move(tensor.boxes.begin(), tensor.boxes.end(), std::back_inserter(slot->second.boxes));
  }
  return absl::OkStatus();
}

Status CheckpointIndex::SortAndCheckTiling() {
  for (auto& [name, tensor] : tensors) {
    const bool has_shape = (tensor.shape.size() == 1 || tensor.shape.size() == 2) && tensor.shape[0] > 0 &&
                           Columns(tensor.shape) > 0;
    if (!has_shape || (tensor.transposed && tensor.shape.size() != 2)) {
      return DataError(name, ": a checkpoint holds vectors and matrices that are not empty");
    }
    std::sort(tensor.boxes.begin(), tensor.boxes.end(), [](const Box& a, const Box& b) {
      return std::tie(a.row_begin, a.col_begin) < std::tie(b.row_begin, b.col_begin);
    });
    WEFT_RETURN_IF_ERROR(CheckTiling(name, tensor));
  }
  return absl::OkStatus();
}

std::string RangeText(const std::vector<int64_t>& shape, const Box& box) {
  if (shape.size() == 1) return StrCat("[", box.row_begin, ":", box.row_end, "]");
  return StrCat("[", box.row_begin, ":", box.row_end, ",", box.col_begin, ":", box.col_end, "]");
}

}  // namespace weft
