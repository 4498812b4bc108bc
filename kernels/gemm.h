// Matrix product: c = op(a) · op(b), or c += with `accumulate`; op transposes where asked.
//
// A linear layer y = x · W^T keeps W as [out, in] (Hugging Face's orientation):
//   forward          y  [T, N] = x [T, K] · W [N, K]^T            {.a = x,  .b = w, .c = y,  .transpose_b = true}
//   data gradient    dx [T, K] = dy [T, N] · W [N, K]             {.a = dy, .b = w, .c = dx}
//   weight gradient  dW [N, K] += dy [T, N]^T · x [T, K]  (f32)   {.a = dy, .b = x, .c = dw, .transpose_a = true, .accumulate = true}
// Sums are taken in f32 whatever the inputs. On the CPU a row or column of c never depends on the number of threads
// that share the others, only on the library's blocking.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct GemmArgs {
  ConstTensorView a;  // [M, K], or [K, M] with transpose_a; f32 | bf16
  ConstTensorView b;  // [K, N], or [N, K] with transpose_b; same dtype as a
  TensorView c;       // [M, N] f32, or a's dtype
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;  // c += instead of c =; c must then be f32
};

void Check(const GemmArgs& args);
void Gemm(Stream& stream, const GemmArgs& args);

namespace cpu {
size_t GemmScratchBytes(const GemmArgs& args, int num_threads);
void Gemm(ThreadPool& pool, const GemmArgs& args, TensorView scratch);
}  // namespace cpu
namespace cuda {
void Gemm(Stream& stream, const GemmArgs& args);
}  // namespace cuda

}  // namespace weft
