// Optimizer: global gradient norm, clipping and AdamW over every parameter, all issued on the device without a wait.
#pragma once

#include "core/arena.h"
#include "optim/optimizer_config.h"
#include "parallel/communicator.h"
#include "parallel/param_store.h"

namespace weft {

class Optimizer {
 public:
  // `store` outlives the optimizer. max_grad_norm 0 never clips.
  Optimizer(ParamStore* store, const OptimizerParams& params, double max_grad_norm);

  // One update of what this rank owns, from the reduced gradients in the store, which stay as they are. The norm is that
  // of the whole model: `all` reaches every rank. `step` counts from 1.
  void Step(Stream& stream, Communicator& all, double lr, int64_t step);

  TensorView grad_norm() const { return norm_; }  // [1] f32: of the last step, before clipping

 private:
  void ComputeClipScale(Stream& stream, Communicator& all);

  ParamStore* const store_;
  const OptimizerParams params_;
  const double max_grad_norm_;
  Arena arena_;
  TensorView sum_squares_;  // [number of parameters] f32
  TensorView norm_;         // [1] f32
  TensorView scale_;        // [1] f32
};

}  // namespace weft
