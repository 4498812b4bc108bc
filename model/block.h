// One decoder block, forward and backward, as plain functions over a stash that lists all that backward needs.
//
//   x = x_in + delta_in;  y1 = norm(x);   qkv = y1 Wqkv^T (+ b);  q, k = rope(q_norm(q), k_norm(k))
//   x2 = x + attention(q, k, v) Wo^T (+ b);  y2 = norm(x2);  up = y2 Wup^T (+ b);  delta_out = act(up) Wdown^T (+ b)
//
// Families differ in which norm that is, whether there are q and k norms, rope and biases, and whether act is SwiGLU, where
// up holds gate and up side by side, or GELU: choices of ModelConfig.
//
// A block passes on (x2, delta_out) without adding them: the addition happens in the next norm's pass over memory.
// Training, evaluation and serving call the same forward; how attention is done (packed documents, or a KV cache) is
// handed in.
//
// Under tensor parallelism a rank has its share of the heads and of the ffn, for all T tokens, and its share T/tp of the
// tokens in the residual stream and the norms (model/tensor_parallel.h). H, K, W and F below are the rank's own.
#pragma once

#include <array>

#include "absl/functional/function_ref.h"
#include "core/arena.h"
#include "kernels/attention.h"
#include "model/activation_sizes.h"
#include "model/params.h"
#include "model/recompute.h"
#include "model/rope_table.h"
#include "model/tensor_parallel.h"

namespace weft {

// What all blocks are computed with.
struct BlockContext {
  Stream& stream;
  const ModelConfig& config;  // the rank's own share (LocalConfig)
  const RopeTable& rope;
  const TensorParallel& tp;
};

// Activations of one block for one micro-batch. W = (H + 2K) Q; all in the compute dtype but norms' statistics and lse. y1 and y2 are
// kept as the rank's tokens and gathered again for the weight gradients: two gathers more a block and micro-batch, for
// activations that shrink with tp.
struct BlockStash {
  TensorView x;        // [T/tp, D] residual stream at entry
  NormStats norm1;     // [T/tp] f32 each
  TensorView y1;       // [T/tp, D]
  TensorView raw_qkv;  // [T, W] as projected; with q/k norms only (v is read from here), else empty
  TensorView q_rstd;   // [T, H] f32, with q/k norms only
  TensorView k_rstd;   // [T, K] f32, with q/k norms only
  TensorView qkv;      // [T, W] as attention reads it: after norms and rope
  TensorView attn;     // [T, H Q]
  TensorView lse;      // [H, T] f32
  TensorView x2;       // [T/tp, D] residual stream after attention
  NormStats norm2;     // [T/tp] f32 each
  TensorView y2;       // [T/tp, D]
  TensorView up;       // [T, U], U = 2F under SwiGLU (gate, up), else F; backward overwrites it with its gradient
  TensorView act;      // [T, F]

  std::array<TensorView*, 16> Pieces();  // all of the above
};

// Memory for what `recompute` keeps of a block between forward and backward; the other pieces stay empty.
BlockStash AllocateStash(Arena& arena, const std::string& name, const ModelConfig& config, const ActivationSizes& sizes,
                         Recompute recompute = Recompute::kNone);
// Memory for those other pieces, needed only while a block is computed.
BlockStash AllocateRecomputed(Arena& arena, const std::string& name, const ModelConfig& config,
                              const ActivationSizes& sizes, Recompute recompute);
// Both together.
BlockStash Joined(BlockStash kept, const BlockStash& recomputed);

// The heads of q, k and v as attention reads them.
struct QkvHeads {
  Heads q, k, v;
};
QkvHeads HeadsOf(const ModelConfig& config, const BlockStash& stash);
using Attend = absl::FunctionRef<void(const QkvHeads& heads, const Heads& out, TensorView lse)>;

struct BlockInput {
  ConstTensorView x;          // [T/tp, D]; may be stash.x itself
  ConstTensorView delta;      // [T/tp, D], or empty
  ConstTensorView positions;  // [T] i32
};

// Attention half: fills the stash up to attn.
void AttentionHalfForward(const BlockContext& context, const BlockWeights& weights, const BlockInput& input,
                          Attend attend, const BlockStash& stash);
// MLP half: fills the rest, from stash.x and stash.attn. delta [T/tp, D] is scratch, then the block's output. With
// `keep_output` false (recomputation) the down projection, whose result is not needed again, is left out.
void MlpHalfForward(const BlockContext& context, const BlockWeights& weights, const BlockStash& stash, TensorView delta,
                    bool keep_output = true);

// Scratch within BlockBackwardInput, shared by all blocks.
struct BlockBackwardScratch {
  TensorView dy;     // [T/tp, D]
  TensorView dact;   // [T, F]
  TensorView dattn;  // [T, H Q]
};
BlockBackwardScratch AllocateBackwardScratch(Arena& arena, const ModelConfig& config, const ActivationSizes& sizes);

// What BlockBackwardInput leaves for BlockBackwardWeight, beside the stash: gradients of what the projections put out.
struct PendingWeightGrads {
  TensorView dx2;          // [T/tp, D] of the residual stream after attention
  TensorView dqkv;         // [T, W]
  TensorView dout_memory;  // [T, D] for `dout` under tensor parallelism, else empty
  TensorView dx2_memory;   // [T, D] for `whole_dx2`, likewise
  // Set by BlockBackwardInput: all tokens of dout and dx2, gathered once for both halves of the backward pass.
  ConstTensorView whole_dout;  // [T, D]
  ConstTensorView whole_dx2;   // [T, D]
};
PendingWeightGrads AllocatePendingWeightGrads(Arena& arena, const std::string& name, const ModelConfig& config,
                                              const ActivationSizes& sizes);

// What the backward pass of a block for one micro-batch reads and writes.
struct BlockBackwardArgs {
  ConstTensorView positions;  // [T] i32
  Packing packing;
  const BlockStash& stash;
  const BlockBackwardScratch& scratch;
  ConstTensorView dout;  // [T/tp, D] gradient of the residual stream at the block's exit; alone, it must last until
                         // BlockBackwardWeight
  TensorView dx;         // [T/tp, D] gradient at its entry
};

// Input gradients, and those of norms and biases, accumulated: they are sums over what passes here anyway.
void BlockBackwardInput(const BlockContext& context, const BlockWeights& weights, const BlockBackwardArgs& args,
                        PendingWeightGrads& pending, const BlockVectorGrads& grads);
// Gradients of the projections' matrices, accumulated.
void BlockBackwardWeight(const BlockContext& context, const BlockStash& stash, const PendingWeightGrads& pending,
                         const BlockMatrixGrads& grads);

}  // namespace weft
