// The norm of the residual stream, of the kind that the model has: RMSNorm or layer norm (kernels/rms_norm.h,
// kernels/layer_norm.h), with the residual addition before it.
#pragma once

#include <string>

#include "core/arena.h"
#include "core/stream.h"
#include "model/config.h"

namespace weft {

// A bias makes it layer norm; RMSNorm has none.
struct NormWeights {
  ConstTensorView weight;  // [D] compute dtype
  ConstTensorView bias;    // [D] compute dtype, or empty
};
struct NormGrads {
  TensorView weight;  // [D] f32, accumulated
  TensorView bias;    // [D] f32, accumulated; empty iff the norm's bias is
};

// What backward needs of each token.
struct NormStats {
  TensorView mean;  // [T/tp] f32; layer norm only, else empty
  TensorView rstd;  // [T/tp] f32

  NormStats Rows(int64_t begin, int64_t end) const {
    return {.mean = mean.empty() ? TensorView() : mean.Rows(begin, end), .rstd = rstd.Rows(begin, end)};
  }
};
// Pieces "NAME.mean" and "NAME.rstd" of the arena.
NormStats AllocateNormStats(Arena& arena, const std::string& name, const ModelConfig& config, int64_t local_tokens);

struct NormForwardArgs {
  ConstTensorView x;      // [T/tp, D]
  ConstTensorView delta;  // [T/tp, D], added first; may be empty
  NormWeights weights;
  TensorView sum;         // [T/tp, D]: x + delta, where delta is not empty; may be x
  TensorView y;           // [T/tp, D]
  NormStats stats;
};
void NormForward(Stream& stream, const ModelConfig& config, const NormForwardArgs& args);

struct NormBackwardArgs {
  ConstTensorView dy;    // [T/tp, D]
  ConstTensorView dsum;  // [T/tp, D] what flows into the sum from above; may be empty
  ConstTensorView x;     // [T/tp, D] what was normalised
  NormWeights weights;
  NormStats stats;
  TensorView dx;         // [T/tp, D] gradient of x and of delta; may be dsum
  NormGrads grads;
};
void NormBackward(Stream& stream, const NormBackwardArgs& args);

}  // namespace weft
