// Rotary position embedding, half-rotation form (Llama, Qwen): Su et al., "RoFormer", 2021.
// With c, s = table[position, i] and i < Q/2:  y[i] = x[i] c - x[i + Q/2] s;  y[i + Q/2] = x[i + Q/2] c + x[i] s.
// Scaling (linear, llama3, YaRN) is in the table alone. Backward is the transpose: the same with s negated.
#pragma once

#include "core/stream.h"
#include "kernels/heads.h"

namespace weft {

struct RopeArgs {
  Heads x;                    // [T, W] f32 | bf16, in place: q and k heads together, or either
  ConstTensorView positions;  // [T] i32: position within the document
  ConstTensorView cos;        // [P, Q/2] f32, P above every position
  ConstTensorView sin;        // [P, Q/2] f32
  bool transpose = false;     // backward
};

void Check(const RopeArgs& args);
void Rope(Stream& stream, const RopeArgs& args);

namespace cpu {
void Rope(ThreadPool& pool, const RopeArgs& args);
}  // namespace cpu
namespace cuda {
void Rope(Stream& stream, const RopeArgs& args);
}  // namespace cuda

}  // namespace weft
