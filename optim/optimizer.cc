// The optimizer step (see optimizer.h).
#include "optim/optimizer.h"

#include "kernels/adamw.h"
#include "kernels/grad_norm.h"

namespace weft {

Optimizer::Optimizer(ParamStore* store, const OptimizerParams& params, double max_grad_norm)
    : store_(store), params_(params), max_grad_norm_(max_grad_norm), arena_(store->device()) {
  sum_squares_ = arena_.Allocate("squared gradient norms", {store->num_groups()}, DType::kF32);
  norm_ = arena_.Allocate("gradient norm", {1}, DType::kF32);
  scale_ = arena_.Allocate("clipping factor", {1}, DType::kF32);
}

// A group's flat buffer holds zeros between its parameters, so its norm is that of its parameters.
void Optimizer::ComputeClipScale(Stream& stream) {
  for (int group = 0; group < store_->num_groups(); ++group) {
    SumSquares(stream, {.x = store_->GroupGrads(group), .out = sum_squares_.Rows(group, group + 1)});
  }
  ClipScale(stream, {.sum_squares = sum_squares_, .max_norm = static_cast<float>(max_grad_norm_), .norm = norm_, .scale = scale_});
}

void Optimizer::Step(Stream& stream, double lr, int64_t step) {
  ComputeClipScale(stream);
  const bool separate_weights = store_->options().compute_dtype != DType::kF32;
  for (int id = 0; id < store_->num_params(); ++id) {
    const ParamSpec& spec = store_->specs()[static_cast<size_t>(id)];
    if (!spec.trainable) continue;
    AdamW(stream, {.param = store_->Master(id).Flat(),
                   .grad = store_->Grad(id).Flat(),
                   .m = store_->FirstMoment(id).Flat(),
                   .v = store_->SecondMoment(id).Flat(),
                   .weight = separate_weights ? store_->MutableWeight(id).Flat() : TensorView(),
                   .grad_scale = scale_,
                   .lr = static_cast<float>(lr),
                   .beta1 = static_cast<float>(params_.betas[0]),
                   .beta2 = static_cast<float>(params_.betas[1]),
                   .eps = static_cast<float>(params_.eps),
                   .weight_decay = spec.weight_decay ? static_cast<float>(params_.weight_decay) : 0.0f,
                   .step = step});
  }
  store_->ZeroGrads(stream);
}

}  // namespace weft
