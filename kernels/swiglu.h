// SwiGLU: y = silu(gate) * up, silu(g) = g / (1 + exp(-g)). Shazeer, "GLU Variants Improve Transformer", 2020.
// gate and up are the two halves of one fused projection's rows.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct SwigluForwardArgs {
  ConstTensorView gate_up;  // [T, 2F] f32 | bf16: gate in [0, F), up in [F, 2F)
  TensorView y;             // [T, F] same dtype
};

struct SwigluBackwardArgs {
  ConstTensorView dy;       // [T, F] f32 | bf16
  ConstTensorView gate_up;  // [T, 2F] same dtype
  TensorView dgate_up;      // [T, 2F] same dtype; may be gate_up
};

void Check(const SwigluForwardArgs& args);
void Check(const SwigluBackwardArgs& args);
void SwigluForward(Stream& stream, const SwigluForwardArgs& args);
void SwigluBackward(Stream& stream, const SwigluBackwardArgs& args);

namespace cpu {
void SwigluForward(ThreadPool& pool, const SwigluForwardArgs& args);
void SwigluBackward(ThreadPool& pool, const SwigluBackwardArgs& args);
}  // namespace cpu
namespace cuda {
void SwigluForward(Stream& stream, const SwigluForwardArgs& args);
void SwigluBackward(Stream& stream, const SwigluBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
