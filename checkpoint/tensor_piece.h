// TensorPiece: a rectangle of a named global tensor in host memory. Checkpoints, imports and exports are lists of these,
// so none of them knows about models or meshes.
#pragma once

#include <cstdint>
#include <string>

#include "core/tensor.h"

namespace weft {

struct TensorPiece {
  std::string name;    // the global tensor: "model.layers.0.self_attn.q_proj.weight"
  Shape global_shape;  // 1 or 2 dims
  int64_t row_begin = 0, row_end = 0;  // of dim 0
  int64_t col_begin = 0, col_end = 0;  // of dim 1; [0, 1) for a vector
  TensorView data;     // [rows, cols] or [rows], host memory, f32 unless said otherwise
  bool transposed = false;  // in Hugging Face's files the tensor is [dim 1, dim 0]; in checkpoints it is as it is here
};

}  // namespace weft
