// What one AdamW update multiplies by (see adamw.h): each computed in f64, from settings as the user wrote them, and
// rounded to f32 once, as PyTorch does. 1 - 0.999f would be off by 1.3e-5 of itself. A file of its own because the
// CPU's vector loops may include no inline functions.
#pragma once

namespace weft {

struct AdamWConstants {
  float decay = 1;                  // 1 - lr * weight_decay
  float one_minus_beta1 = 0;
  float beta2 = 0;
  float one_minus_beta2 = 0;
  float step_size = 0;              // lr / (1 - beta1^step)
  float sqrt_bias_correction2 = 0;  // sqrt(1 - beta2^step)
  float eps = 0;
};

}  // namespace weft
