// One AdamW step over a range (see adamw.h): 16 bytes read and 12 written an element, 14 with the bf16 copy.
#pragma once

#include "kernels/cpu/loops.h"
#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

void AdamWLoop(const AdamWConstants& constants, int64_t n, const float* grad, float* param, float* m, float* v,
               uint16_t* weight) {
  const AdamWConstants c = constants;
  ForVectors(n, [=](int64_t i, auto lanes) {
    const Vec g = Load(grad + i, lanes) * c.grad_scale;
    const Vec old_m = Load(m + i, lanes);
    const Vec new_m = old_m + (g - old_m) * c.one_minus_beta1;
    const Vec new_v = Load(v + i, lanes) * c.beta2 + g * g * c.one_minus_beta2;
    const Vec denominator = Sqrt(new_v) / c.sqrt_bias_correction2 + c.eps;
    const Vec p = Load(param + i, lanes) * c.decay - new_m / denominator * c.step_size;
    Store(m + i, new_m, lanes);
    Store(v + i, new_v, lanes);
    Store(param + i, p, lanes);
    if (weight != nullptr) Store(weight + i, p, lanes);
  });
}

}  // namespace
}  // namespace weft::cpu
