// LayerNorm with the residual addition before it: sum = x + delta; y = (sum - mean) * rstd * weight + bias, with
// rstd = rsqrt(mean((sum - mean)^2) + eps). Ba, Kiros and Hinton, "Layer Normalization", 2016. Arithmetic in f32 whatever
// the dtype; y is rounded once.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct LayerNormForwardArgs {
  ConstTensorView x;       // [T, D] f32 | bf16: the residual stream
  ConstTensorView delta;   // [T, D] same dtype: what the last sub-layer adds to it; may be empty
  ConstTensorView weight;  // [D] same dtype
  ConstTensorView bias;    // [D] same dtype
  TensorView sum;          // [T, D] same dtype: x + delta, the new residual stream; empty iff delta is; may be x
  TensorView y;            // [T, D] same dtype; may not alias the others
  TensorView mean;         // [T] f32, for backward
  TensorView rstd;         // [T] f32: 1 / standard deviation, for backward
  float eps = 0;
};

// Given dy, the gradient of y, and dsum, what flows into the residual stream from above (empty: nothing):
// dx = dsum + d(norm); the gradient of delta is the same tensor.
struct LayerNormBackwardArgs {
  ConstTensorView dy;      // [T, D] f32 | bf16
  ConstTensorView dsum;    // [T, D] same dtype, or empty
  ConstTensorView x;       // [T, D] same dtype: what was normalised (`sum` of forward)
  ConstTensorView weight;  // [D] same dtype
  ConstTensorView mean;    // [T] f32
  ConstTensorView rstd;    // [T] f32
  TensorView dx;           // [T, D] same dtype; may be dsum
  TensorView dweight;      // [D] f32, accumulated into; empty: not wanted
  TensorView dbias;        // [D] f32, accumulated into; empty iff dweight is
};

void Check(const LayerNormForwardArgs& args);
void Check(const LayerNormBackwardArgs& args);
void LayerNormForward(Stream& stream, const LayerNormForwardArgs& args);
void LayerNormBackward(Stream& stream, const LayerNormBackwardArgs& args);

namespace cpu {
void LayerNormForward(ThreadPool& pool, const LayerNormForwardArgs& args);
size_t LayerNormBackwardScratchBytes(const LayerNormBackwardArgs& args);
void LayerNormBackward(ThreadPool& pool, const LayerNormBackwardArgs& args, TensorView scratch);
}  // namespace cpu
namespace cuda {
void LayerNormForward(Stream& stream, const LayerNormForwardArgs& args);
void LayerNormBackward(Stream& stream, const LayerNormBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
