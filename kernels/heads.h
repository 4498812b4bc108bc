// Heads: some attention heads inside the rows of a matrix, so that q, k and v can be read and written where a fused
// projection left them. Head h of token t is rows[t, column + h * head_dim .. + head_dim).
//
// The one place where columns of a row-major matrix are addressed; q and v heads may differ in size (MLA).
#pragma once

#include "core/tensor.h"

namespace weft {

struct Heads {
  TensorView rows;  // [T, W] f32 | bf16
  int64_t column = 0;
  int64_t num_heads = 0;
  int64_t head_dim = 0;
};

struct ConstHeads {
  ConstTensorView rows;  // [T, W] f32 | bf16
  int64_t column = 0;
  int64_t num_heads = 0;
  int64_t head_dim = 0;

  ConstHeads() = default;
  ConstHeads(ConstTensorView rows, int64_t column, int64_t num_heads, int64_t head_dim)
      : rows(rows), column(column), num_heads(num_heads), head_dim(head_dim) {}
  ConstHeads(const Heads& heads)  // NOLINT: what may be written may be read
      : rows(heads.rows), column(heads.column), num_heads(heads.num_heads), head_dim(heads.head_dim) {}
};

// Aborts unless `heads` lies inside its rows and there are `num_tokens` of them.
inline void CheckHeads(const ConstHeads& heads, int64_t num_tokens) {
  WEFT_CHECK_EQ(heads.rows.shape().num_dims(), 2);
  WEFT_CHECK_EQ(heads.rows.dim(0), num_tokens);
  WEFT_CHECK_GE(heads.column, 0);
  WEFT_CHECK_LE(heads.column + heads.num_heads * heads.head_dim, heads.rows.dim(1));
}

}  // namespace weft
