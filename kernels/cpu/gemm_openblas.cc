// The f32 product by OpenBLAS, held to the calling thread.
#include <cblas.h>

#include "kernels/cpu/gemm_block.h"

namespace weft::cpu {

void OpenblasGemm(const F32GemmBlock& block) {
  static const bool one_thread = [] {  // for the whole process: nothing else in weft calls OpenBLAS
    openblas_set_num_threads(1);
    return true;
  }();
  (void)one_thread;
  cblas_sgemm(CblasRowMajor, block.transpose_a ? CblasTrans : CblasNoTrans, block.transpose_b ? CblasTrans : CblasNoTrans,
              static_cast<blasint>(block.m), static_cast<blasint>(block.n), static_cast<blasint>(block.k), 1.0f, block.a,
              static_cast<blasint>(block.lda), block.b, static_cast<blasint>(block.ldb), block.accumulate ? 1.0f : 0.0f,
              block.c, static_cast<blasint>(block.ldc));
}

}  // namespace weft::cpu
