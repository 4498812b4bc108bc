// The head: final norm, language-model projection and cross-entropy, in chunks of tokens so that [T, V] logits never
// exist. Loss and gradient come from the same pass, because computing a chunk's logits twice would cost a third more.
//
// Under tensor parallelism a rank has its share V of the vocabulary for all T tokens, and its share T/tp of the tokens in
// the residual stream and the norm; each chunk's softmax is put together from the ranks' statistics.
#pragma once

#include "core/arena.h"
#include "core/stream.h"
#include "model/activation_sizes.h"
#include "model/config.h"
#include "model/norm.h"
#include "model/tensor_parallel.h"

namespace weft {

struct HeadWeights {
  NormWeights norm;
  ConstTensorView lm_head;  // [V, D] compute dtype
};

struct HeadStash {
  TensorView x;     // [T/tp, D] residual stream at entry
  NormStats stats;  // [T/tp] f32 each
  TensorView y;     // [T/tp, D] normed: what logits are made of
};

struct HeadScratch {
  TensorView logits;     // [C, V] compute dtype
  TensorView stats;      // [2, C] f32: log-sum-exp and target's logit
  TensorView all_stats;  // [tp, 2, C] f32: every rank's, over its vocabulary; empty when alone
  TensorView dy;         // [T, D] compute dtype; with several ranks partial sums
};

HeadStash AllocateHeadStash(Arena& arena, const ModelConfig& config, const ActivationSizes& sizes);
HeadScratch AllocateHeadScratch(Arena& arena, const ModelConfig& config, const ActivationSizes& sizes);

// stash.x = x + delta (delta may be empty: then x must be stash.x); stash.y = norm(stash.x).
void HeadForward(Stream& stream, const ModelConfig& config, const HeadWeights& weights, ConstTensorView x,
                 ConstTensorView delta, const HeadStash& stash);

struct HeadTargets {
  ConstTensorView targets;  // [T] i32
  ConstTensorView weights;  // [T] f32: the loss mask
  TensorView loss_sum;      // [1] f32: accumulates the sum of weighted token losses, on tp rank 0 alone
};
// Loss alone, for evaluation.
void HeadLoss(Stream& stream, const TensorParallel& tp, const HeadWeights& weights, const HeadStash& stash,
              const HeadTargets& targets, const HeadScratch& scratch);

struct HeadGrads {
  NormGrads norm;
  TensorView lm_head;  // [V, D] f32, accumulated
};
// Loss and gradients; dx [T/tp, D] is the gradient of the residual stream. `loss_scale` is 1 / number of unmasked tokens
// in the global batch, so that gradients of all ranks and micro-batches simply add.
void HeadBackward(Stream& stream, const TensorParallel& tp, const HeadWeights& weights, const HeadStash& stash,
                  const HeadTargets& targets, float loss_scale, const HeadScratch& scratch, const HeadGrads& grads,
                  TensorView dx);

}  // namespace weft
