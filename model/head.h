// The head: final norm, language-model projection and cross-entropy, in chunks of tokens so that [T, V] logits never
// exist. Loss and gradient come from the same pass, because computing a chunk's logits twice would cost a third more.
#pragma once

#include "core/arena.h"
#include "core/stream.h"
#include "model/config.h"

namespace weft {

struct HeadWeights {
  ConstTensorView norm;     // [D] compute dtype
  ConstTensorView lm_head;  // [V, D] compute dtype
};

struct HeadStash {
  TensorView x;     // [T, D] residual stream at entry
  TensorView rstd;  // [T] f32
  TensorView y;     // [T, D] normed: what logits are made of
};

struct HeadScratch {
  TensorView logits;        // [C, V] compute dtype
  TensorView lse;           // [C] f32
  TensorView target_logit;  // [C] f32
  TensorView dy;            // [T, D] compute dtype
};

HeadStash AllocateHeadStash(Arena& arena, const ModelConfig& config, int64_t num_tokens, DType dtype);
HeadScratch AllocateHeadScratch(Arena& arena, const ModelConfig& config, int64_t num_tokens, DType dtype);

// stash.x = x + delta (delta may be empty: then x must be stash.x); stash.y = norm(stash.x).
void HeadForward(Stream& stream, const ModelConfig& config, const HeadWeights& weights, ConstTensorView x,
                 ConstTensorView delta, const HeadStash& stash);

struct HeadTargets {
  ConstTensorView targets;  // [T] i32
  ConstTensorView weights;  // [T] f32: the loss mask
  TensorView loss_sum;      // [1] f32: accumulates the sum of weighted token losses
};
// Loss alone, for evaluation.
void HeadLoss(Stream& stream, const HeadWeights& weights, const HeadStash& stash, const HeadTargets& targets,
              const HeadScratch& scratch);

struct HeadGrads {
  TensorView norm;     // [D] f32, accumulated
  TensorView lm_head;  // [V, D] f32, accumulated
};
// Loss and gradients; dx [T, D] is the gradient of the residual stream. `loss_scale` is 1 / number of unmasked tokens
// in the global batch, so that gradients of all ranks and micro-batches simply add.
void HeadBackward(Stream& stream, const HeadWeights& weights, const HeadStash& stash, const HeadTargets& targets,
                  float loss_scale, const HeadScratch& scratch, const HeadGrads& grads, TensorView dx);

}  // namespace weft
