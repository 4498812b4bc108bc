// RMSNorm with the residual addition before it: sum = x + delta; y = sum * rsqrt(mean(sum^2) + eps) * weight.
// Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019. Arithmetic in f32 whatever the dtype; y is rounded
// once, as x_hat * weight.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct RmsNormForwardArgs {
  ConstTensorView x;       // [T, D] f32 | bf16: the residual stream
  ConstTensorView delta;   // [T, D] same dtype: what the last sub-layer adds to it; may be empty
  ConstTensorView weight;  // [D] same dtype
  TensorView sum;          // [T, D] same dtype: x + delta, the new residual stream; empty iff delta is; may be x
  TensorView y;            // [T, D] same dtype; may not alias the others
  TensorView rstd;         // [T] f32: 1 / rms, for backward
  float eps = 0;
};

// Given dy, the gradient of y, and dsum, what flows into the residual stream from above (empty: nothing):
// dx = dsum + d(norm); the gradient of delta is the same tensor.
struct RmsNormBackwardArgs {
  ConstTensorView dy;      // [T, D] f32 | bf16
  ConstTensorView dsum;    // [T, D] same dtype, or empty
  ConstTensorView x;       // [T, D] same dtype: what was normalised (`sum` of forward)
  ConstTensorView weight;  // [D] same dtype
  ConstTensorView rstd;    // [T] f32
  TensorView dx;           // [T, D] same dtype; may be dsum
  TensorView dweight;      // [D] f32, accumulated into; empty: not wanted
};

void Check(const RmsNormForwardArgs& args);
void Check(const RmsNormBackwardArgs& args);
void RmsNormForward(Stream& stream, const RmsNormForwardArgs& args);
void RmsNormBackward(Stream& stream, const RmsNormBackwardArgs& args);

namespace cpu {
void RmsNormForward(ThreadPool& pool, const RmsNormForwardArgs& args);
size_t RmsNormBackwardScratchBytes(const RmsNormBackwardArgs& args);
void RmsNormBackward(ThreadPool& pool, const RmsNormBackwardArgs& args, TensorView scratch);
}  // namespace cpu
namespace cuda {
void RmsNormForward(Stream& stream, const RmsNormForwardArgs& args);
void RmsNormBackward(Stream& stream, const RmsNormBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
