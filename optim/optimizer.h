// Optimizer: global gradient norm, clipping and AdamW over all that this rank owns. On the device everything is issued
// without a wait; where the store keeps masters and moments in host memory the host updates them (offloaded_adamw.h).
#pragma once

#include <memory>

#include "core/arena.h"
#include "optim/offloaded_adamw.h"
#include "optim/optimizer_config.h"
#include "parallel/communicator.h"
#include "parallel/param_store.h"

namespace weft {

class Optimizer {
 public:
  // `store` outlives the optimizer. max_grad_norm 0 never clips. `streams` says how the streams of an offloaded update are
  // made; its pool does that update.
  Optimizer(ParamStore* store, const OptimizerParams& params, double max_grad_norm, const StreamOptions& streams = {});

  // Of the reduced gradients in the store: their norm over the whole model (`all` reaches every rank), and the factor that
  // clips them.
  void MeasureGradients(Stream& stream, Communicator& all);
  // One update of what this rank owns, from the gradients that were measured, which stay as they are. `update` counts from
  // 1. What `stream` is given next sees the new weights.
  void Update(Stream& stream, double lr, int64_t update);

  TensorView grad_norm() const { return norm_; }  // [1] f32: as measured last, before clipping

 private:
  std::vector<AdamWArgs> UpdatesOf(double lr, int64_t update) const;

  ParamStore* const store_;
  const OptimizerParams params_;
  const double max_grad_norm_;
  Arena arena_;
  TensorView sum_squares_;  // [number of parameters] f32
  TensorView norm_;         // [1] f32
  TensorView scale_;        // [1] f32
  std::unique_ptr<OffloadedAdamW> offloaded_;  // null: the state is on the device
};

}  // namespace weft
