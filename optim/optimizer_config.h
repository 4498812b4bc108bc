// The optimizer section, by DeepSpeed's names: optimizer {type, params {lr, betas, eps, weight_decay}}.
//
// DeepSpeed's "Adam" is AdamW unless adam_w_mode is false (its engine sets adam_w_mode to true), so both names mean
// AdamW.
#pragma once

#include <cstdint>
#include <vector>

#include "core/fields.h"

namespace weft {

struct OptimizerParams {
  double lr = 1e-3;
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.0;

  void VisitFields(FieldVisitor& v) {
    v.Field("lr", lr, "peak learning rate; the scheduler scales it");
    v.Field("betas", betas, "decay rates of the first and the second moment");
    v.Field("eps", eps, "added to the root of the second moment");
    v.Field("weight_decay", weight_decay,
            "decoupled weight decay per unit of learning rate; norms and biases have none");
    v.Fixed("bias_correction", "true", "moments are always corrected for their zero start");
    v.Fixed("adam_w_mode", "true", "weight decay is always decoupled");
    v.Refused("max_grad_norm", "write gradient_clipping, at the top");
    v.Refused("amsgrad", "AdamW here has no maximum of second moments");
    v.Ignored("torch_adam", "there is one AdamW");
    v.Ignored("fused", "AdamW is always one kernel");
    v.Ignored("fp32_optimizer_states", "moments are always f32");
  }
};

enum class OptimizerType { kAdamW, kAdam };

struct OptimizerConfig {
  OptimizerType type = OptimizerType::kAdamW;
  OptimizerParams params;

  void VisitFields(FieldVisitor& v) {
    v.Choice("type", type, {"AdamW", "Adam"}, "AdamW; Adam means the same, as in DeepSpeed");
    v.Section("params", params, "settings of the optimizer");
    v.Ignored("legacy_fusion", "a switch of DeepSpeed's own kernels");
  }
};

}  // namespace weft
