// Norm, clipping factor and update (see optimizer.h).
#include "optim/optimizer.h"

#include "kernels/grad_norm.h"

namespace weft {

Optimizer::Optimizer(ParamStore* store, const OptimizerParams& params, double max_grad_norm, const StreamOptions& streams)
    : store_(store), params_(params), max_grad_norm_(max_grad_norm), arena_(store->device()) {
  sum_squares_ = arena_.Allocate("squared gradient norms", {store->num_params()}, DType::kF32);
  norm_ = arena_.Allocate("gradient norm", {1}, DType::kF32);
  scale_ = arena_.Allocate("clipping factor", {1}, DType::kF32);
  if (store->options().offload_optimizer) {
    offloaded_ = std::make_unique<OffloadedAdamW>(store->device(), store->options().compute_dtype, streams, RingFor(store->layout()));
  }
}

// One slot a parameter of the whole model; of the ranks that own the same piece of it one counts.
void Optimizer::MeasureGradients(Stream& stream, Communicator& all) {
  stream.Zero(sum_squares_);
  for (int id = 0; id < store_->num_params(); ++id) {
    if (!store_->spec(id).trainable || !store_->Votes(id)) continue;
    SumSquares(stream, {.x = store_->OwnedGrad(id).Flat(), .out = sum_squares_.Rows(id, id + 1)});
  }
  all.AllReduce(stream, sum_squares_);
  ClipScale(stream, {.sum_squares = sum_squares_, .max_norm = static_cast<float>(max_grad_norm_), .norm = norm_, .scale = scale_});
}

void Optimizer::Update(Stream& stream, double lr, int64_t update) {
  const std::vector<AdamWArgs> updates = UpdatesOf(lr, update);
  if (offloaded_ != nullptr) return offloaded_->Step(stream, updates);
  for (const AdamWArgs& args : updates) AdamW(stream, args);
}

std::vector<AdamWArgs> Optimizer::UpdatesOf(double lr, int64_t update) const {
  std::vector<AdamWArgs> updates;
  const bool separate_weights = !store_->layout().MastersAreWeights();
  for (int id = 0; id < store_->num_params(); ++id) {
    const ParamSpec& spec = store_->spec(id);
    if (!spec.trainable || !store_->Holds(id)) continue;
    updates.push_back({.param = store_->Master(id).Flat(),
                       .grad = store_->OwnedGrad(id).Flat(),
                       .m = store_->FirstMoment(id).Flat(),
                       .v = store_->SecondMoment(id).Flat(),
                       .weight = separate_weights ? store_->OwnedWeight(id).Flat() : TensorView(),
                       .grad_scale = scale_,
                       .lr = lr,
                       .beta1 = params_.betas[0],
                       .beta2 = params_.betas[1],
                       .eps = params_.eps,
                       .weight_decay = spec.weight_decay ? params_.weight_decay : 0.0,
                       .step = update});
  }
  return updates;
}

}  // namespace weft
