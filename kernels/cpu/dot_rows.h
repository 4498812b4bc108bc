// DotRows: products of a few rows with many, both read along their rows: the GEMM of a decoding step.
//
// With M = 1..8 tokens a linear layer is bound by reading W [N, K] once; a blocked GEMM would first copy W.
// Sums are f32, and an element's sum does not depend on m or n: a token's result is the same alone and in a batch.
#pragma once

#include <cstdint>

namespace weft::cpu {

// out[i, j] = sum_p a[i, p] * b[j, p] for i < m, j < n; rows are lda, ldb, ldo elements apart.
struct DotRowsKernels {
  void (*f32)(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* out,
              int64_t ldo);
  // a and b are bf16 bits.
  void (*bf16)(int64_t m, int64_t n, int64_t k, const uint16_t* a, int64_t lda, const uint16_t* b, int64_t ldb, float* out,
               int64_t ldo);
};

const DotRowsKernels& DotRowsPortable();
const DotRowsKernels& DotRowsAvx2();
const DotRowsKernels& DotRowsAvx512();

}  // namespace weft::cpu
