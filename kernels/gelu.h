// GELU in its tanh form: y = x (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3). Hendrycks and Gimpel, "Gaussian
// Error Linear Units", 2016; the form of GPT-2 (transformers' gelu_new and gelu_pytorch_tanh). Arithmetic in f32.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct GeluForwardArgs {
  ConstTensorView x;  // [T, F] f32 | bf16
  TensorView y;       // [T, F] same dtype
};

struct GeluBackwardArgs {
  ConstTensorView dy;  // [T, F] f32 | bf16
  ConstTensorView x;   // [T, F] same dtype
  TensorView dx;       // [T, F] same dtype; may be x
};

void Check(const GeluForwardArgs& args);
void Check(const GeluBackwardArgs& args);
void GeluForward(Stream& stream, const GeluForwardArgs& args);
void GeluBackward(Stream& stream, const GeluBackwardArgs& args);

namespace cpu {
void GeluForward(ThreadPool& pool, const GeluForwardArgs& args);
void GeluBackward(ThreadPool& pool, const GeluBackwardArgs& args);
}  // namespace cpu
namespace cuda {
void GeluForward(Stream& stream, const GeluForwardArgs& args);
void GeluBackward(Stream& stream, const GeluBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
