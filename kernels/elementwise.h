// Casts and sums between buffers.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct CastArgs {
  ConstTensorView from;  // [n] f32 | bf16
  TensorView to;         // [n] f32 | bf16; round to nearest even
};

struct AccumulateArgs {
  ConstTensorView x;  // [n] f32 | bf16
  TensorView y;       // [n] f32 | bf16: y += x, added in f32
};

struct ScaleArgs {
  TensorView y;     // [n] f32: y *= factor
  float factor = 1;
};

void Check(const CastArgs& args);
void Check(const AccumulateArgs& args);
void Check(const ScaleArgs& args);
void Cast(Stream& stream, const CastArgs& args);
void Accumulate(Stream& stream, const AccumulateArgs& args);
void Scale(Stream& stream, const ScaleArgs& args);

namespace cpu {
void Cast(ThreadPool& pool, const CastArgs& args);
void Accumulate(ThreadPool& pool, const AccumulateArgs& args);
void Scale(ThreadPool& pool, const ScaleArgs& args);
}  // namespace cpu
namespace cuda {
void Cast(Stream& stream, const CastArgs& args);
void Accumulate(Stream& stream, const AccumulateArgs& args);
void Scale(Stream& stream, const ScaleArgs& args);
}  // namespace cuda

}  // namespace weft
