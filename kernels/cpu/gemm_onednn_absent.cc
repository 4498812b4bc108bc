// In place of gemm_onednn.cc in a build without oneDNN.
#include "core/check.h"
#include "kernels/cpu/gemm_block.h"

namespace weft::cpu {

bool HasOnednn() { return false; }

void OnednnGemm(const F32GemmBlock&) { WEFT_CHECK(false) << "this build has no oneDNN"; }
void OnednnGemm(const GemmBlock<bf16, float>&) { WEFT_CHECK(false) << "this build has no oneDNN"; }
void OnednnGemm(const GemmBlock<bf16, bf16>&) { WEFT_CHECK(false) << "this build has no oneDNN"; }

}  // namespace weft::cpu
