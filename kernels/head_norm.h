// RMSNorm over each head of q or k (Qwen3's q_norm and k_norm): one weight of head_dim for all heads.
// y = x * rsqrt(mean over the head of x^2, + eps) * weight. Arithmetic in f32.
#pragma once

#include "core/stream.h"
#include "kernels/heads.h"

namespace weft {

struct HeadNormForwardArgs {
  ConstHeads x;            // [T, W] f32 | bf16
  ConstTensorView weight;  // [head_dim] same dtype
  Heads y;                 // same heads; may be x itself
  TensorView rstd;         // [T, num_heads] f32, for backward
  float eps = 0;
};

struct HeadNormBackwardArgs {
  ConstHeads dy;           // [T, W] f32 | bf16
  ConstHeads x;            // what was normalised
  ConstTensorView weight;  // [head_dim] same dtype
  ConstTensorView rstd;    // [T, num_heads] f32
  Heads dx;                // may be dy
  TensorView dweight;      // [head_dim] f32, accumulated into; empty: not wanted
};

void Check(const HeadNormForwardArgs& args);
void Check(const HeadNormBackwardArgs& args);
void HeadNormForward(Stream& stream, const HeadNormForwardArgs& args);
void HeadNormBackward(Stream& stream, const HeadNormBackwardArgs& args);

namespace cpu {
void HeadNormForward(ThreadPool& pool, const HeadNormForwardArgs& args);
size_t HeadNormBackwardScratchBytes(const HeadNormBackwardArgs& args);
void HeadNormBackward(ThreadPool& pool, const HeadNormBackwardArgs& args, TensorView scratch);
}  // namespace cpu
namespace cuda {
void HeadNormForward(Stream& stream, const HeadNormForwardArgs& args);
void HeadNormBackward(Stream& stream, const HeadNormBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
