// Bias of a linear layer: y += bias on every row, and its gradient, the sum over rows.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct AddBiasArgs {
  TensorView y;          // [T, N] f32 | bf16, in place
  ConstTensorView bias;  // [N] same dtype
};

struct BiasGradArgs {
  ConstTensorView dy;  // [T, N] f32 | bf16
  TensorView dbias;    // [N] f32, accumulated into
};

void Check(const AddBiasArgs& args);
void Check(const BiasGradArgs& args);
void AddBias(Stream& stream, const AddBiasArgs& args);
void BiasGrad(Stream& stream, const BiasGradArgs& args);

namespace cpu {
void AddBias(ThreadPool& pool, const AddBiasArgs& args);
void BiasGrad(ThreadPool& pool, const BiasGradArgs& args);
}  // namespace cpu
namespace cuda {
void AddBias(Stream& stream, const AddBiasArgs& args);
void BiasGrad(Stream& stream, const BiasGradArgs& args);
}  // namespace cuda

}  // namespace weft
