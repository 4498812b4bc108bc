// Import of weights: find every tensor, list all that does not fit, then cast the wanted boxes.
#include "checkpoint/hugging_face.h"

#include <cstring>
#include <set>

#include "checkpoint/model_files.h"
#include "core/check.h"
#include "parallel/rank_record.h"

namespace weft {
namespace {

using Tensors = std::map<std::string, ModelFiles::Place>;

// The tensor called `name`, with or without the prefix that base models are saved without.
Tensors::const_iterator Find(const Tensors& tensors, std::string_view name) {
  const auto found = tensors.find(std::string(name));
  if (found != tensors.end()) return found;
  for (const std::string_view prefix : {"model.", "transformer."}) {
    if (name.starts_with(prefix)) return tensors.find(std::string(name.substr(prefix.size())));
  }
  return found;
}

// The shape that the piece's tensor has in Hugging Face's files.
std::string ForeignShapeText(const TensorPiece& piece) {
  const Shape& shape = piece.global_shape;
  return (piece.transposed ? Shape{shape[1], shape[0]} : shape).ToString();
}

std::string ShapeText(const SafetensorsEntry& entry) {
  std::string text;
  for (uint64_t extent : entry.shape) StrAppend(&text, text.empty() ? "" : ", ", extent);
  return StrCat("[", text, "]");
}

bool HasCastableDType(const SafetensorsEntry& entry) {
  return entry.dtype == "F32" || entry.dtype == "BF16" || entry.dtype == "F16";
}

// lm_head.weight of a model whose head is its embedding, bit for bit.
bool IsTiedCopy(const Tensors& tensors, const std::string& name, const ModelFiles::Place& place) {
  if (name != "lm_head.weight") return false;
  for (const char* name_of_embedding : {"model.embed_tokens.weight", "transformer.wte.weight"}) {
    const auto embedding = Find(tensors, name_of_embedding);
    if (embedding == tensors.end()) continue;
    return embedding->second.entry->dtype == place.entry->dtype && embedding->second.data() == place.data();
  }
  return false;
}

// What is no parameter but a table that follows from the configuration: rotary frequencies, GPT-2's causal masks.
bool IsBuffer(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

// A line for each tensor that is missing, wrong or unused; empty if all fit.
std::string Misfits(const Tensors& tensors, const std::vector<TensorPiece>& pieces) {
  std::string lines;
  std::set<std::string> wanted, used;
  for (const TensorPiece& piece : pieces) {
    if (!wanted.insert(piece.name).second) continue;
    const auto found = Find(tensors, piece.name);
    if (found == tensors.end()) {
      StrAppend(&lines, "\n  missing: ", piece.name, " ", ForeignShapeText(piece));
      continue;
    }
    used.insert(found->first);
    const SafetensorsEntry& entry = *found->second.entry;
    if (ShapeText(entry) != ForeignShapeText(piece)) {
      StrAppend(&lines, "\n  shape: ", piece.name, " is ", ShapeText(entry), ", the model needs ", ForeignShapeText(piece));
    }
    if (!HasCastableDType(entry)) StrAppend(&lines, "\n  dtype: ", piece.name, " is ", entry.dtype, ", weft reads F32, BF16 and F16");
  }
  for (const auto& [name, place] : tensors) {
    const bool may_lie_unused = IsBuffer(name) || IsTiedCopy(tensors, name, place);
    if (!used.contains(name) && !may_lie_unused) StrAppend(&lines, "\n  unused: ", name, " ", ShapeText(*place.entry));
  }
  return lines;
}

template <typename T>
void CastRow(const char* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + static_cast<size_t>(i) * sizeof(T), sizeof(T));  // the file does not align them
    to[i] = static_cast<float>(value);
  }
}

// The same from a file that holds the transpose, whose rows are the piece's columns.
template <typename T>
void CopyTransposed(std::string_view data, const TensorPiece& piece) {
  const int64_t whole_rows = piece.global_shape[0], rows = piece.row_end - piece.row_begin;
  const int64_t columns = piece.col_end - piece.col_begin;
  float* to = piece.data.data<float>();
  std::vector<float> column(static_cast<size_t>(rows));
  for (int64_t col = 0; col < columns; ++col) {
    const int64_t from = (piece.col_begin + col) * whole_rows + piece.row_begin;
    CastRow<T>(data.data() + static_cast<size_t>(from) * sizeof(T), column.data(), rows);
    for (int64_t row = 0; row < rows; ++row) to[row * columns + col] = column[static_cast<size_t>(row)];
  }
}

template <typename T>
void CopyPiece(std::string_view data, const TensorPiece& piece) {
  if (piece.transposed) return CopyTransposed<T>(data, piece);
  const int64_t whole_columns = piece.global_shape.row_elements(), columns = piece.col_end - piece.col_begin;
  float* to = piece.data.data<float>();
  for (int64_t row = piece.row_begin; row < piece.row_end; ++row, to += columns) {
    CastRow<T>(data.data() + static_cast<size_t>(row * whole_columns + piece.col_begin) * sizeof(T), to, columns);
  }
}

void FillPiece(const ModelFiles::Place& place, const TensorPiece& piece) {
  WEFT_CHECK_EQ((piece.row_end - piece.row_begin) * (piece.col_end - piece.col_begin), piece.data.num_elements()) << piece.name;
  const std::string& dtype = place.entry->dtype;
  if (dtype == "F32") return CopyPiece<float>(place.data(), piece);
  if (dtype == "BF16") return CopyPiece<bf16>(place.data(), piece);
  WEFT_CHECK(dtype == "F16") << dtype;
  CopyPiece<f16>(place.data(), piece);
}

}  // namespace

Status LoadHuggingFacePieces(const std::string& folder, const std::vector<TensorPiece>& pieces) {
  WEFT_ASSIGN_OR_RETURN(const ModelFiles files, ModelFiles::Open(folder));
  const std::string misfits = Misfits(files.tensors(), pieces);
  if (!misfits.empty()) return UserError("the weights in ", folder, " are not those of the model that config.json describes:", misfits);
  for (const TensorPiece& piece : pieces) {
    if (piece.row_begin < piece.row_end) FillPiece(Find(files.tensors(), piece.name)->second, piece);
    CurrentRecord().CountProgress();
  }
  return absl::OkStatus();
}

}  // namespace weft
