// The product in three loops, innermost over columns so that the compiler can vectorise it.
#include <algorithm>

#include "kernels/cpu/gemm_block.h"

namespace weft::cpu {

void PlainGemm(const F32GemmBlock& block) {
  const int64_t b_row = block.transpose_b ? 1 : block.ldb;
  const int64_t b_column = block.transpose_b ? block.ldb : 1;
  for (int64_t i = 0; i < block.m; ++i) {
    float* c = block.c + i * block.ldc;
    if (!block.accumulate) std::fill(c, c + block.n, 0.0f);
    for (int64_t p = 0; p < block.k; ++p) {
      const float a = block.transpose_a ? block.a[p * block.lda + i] : block.a[i * block.lda + p];
      const float* b = block.b + p * b_row;
      for (int64_t j = 0; j < block.n; ++j) c[j] += a * b[j * b_column];
    }
  }
}

}  // namespace weft::cpu
