// One AdamW update of a tensor: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, in PyTorch's
// order of operations. With g = grad * scale:
//   p -= lr * weight_decay * p;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
#pragma once

#include "core/stream.h"
#include "core/tensor.h"
#include "kernels/adamw_constants.h"

namespace weft {

struct AdamWArgs {
  TensorView param;            // [n] f32 master weights, in place
  ConstTensorView grad;        // [n] f32
  TensorView m;                // [n] f32 first moment, in place
  TensorView v;                // [n] f32 second moment, in place
  TensorView weight;           // [n] bf16: the rounded copy that the model reads; empty when it reads the masters
  ConstTensorView grad_scale;  // [1] f32 on the same device: the clipping factor
  double lr = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  int64_t step = 1;            // counts from 1
};

void Check(const AdamWArgs& args);
AdamWConstants ConstantsOf(const AdamWArgs& args);
void AdamW(Stream& stream, const AdamWArgs& args);

namespace cpu {
void AdamW(ThreadPool& pool, const AdamWArgs& args);
}  // namespace cpu
namespace cuda {
void AdamW(Stream& stream, const AdamWArgs& args);
}  // namespace cuda

}  // namespace weft
