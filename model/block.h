// One decoder block, forward and backward, as plain functions over a stash that lists all that backward needs.
//
//   x = x_in + delta_in;  y1 = norm(x);   qkv = y1 Wqkv^T (+ b);  q, k = rope(q_norm(q), k_norm(k))
//   x2 = x + attention(q, k, v) Wo^T;     y2 = norm(x2);  delta_out = (silu(gate) * up) Wdown^T, gate | up = y2 Wgu^T
//
// A block passes on (x2, delta_out) without adding them: the addition happens in the next norm's pass over memory.
// Training, evaluation and serving call the same forward; how attention is done (packed documents, or a KV cache) is
// handed in.
#pragma once

#include "absl/functional/function_ref.h"
#include "core/arena.h"
#include "kernels/attention.h"
#include "model/params.h"
#include "model/recompute.h"
#include "model/rope_table.h"

namespace weft {

// Activations of one block for one micro-batch. T tokens, W = (H + 2K) Q; all in the compute dtype but rstd and lse.
struct BlockStash {
  TensorView x;        // [T, D] residual stream at entry
  TensorView rstd1;    // [T] f32
  TensorView y1;       // [T, D]
  TensorView raw_qkv;  // [T, W] as projected; with q/k norms only (v is read from here), else empty
  TensorView q_rstd;   // [T, H] f32, with q/k norms only
  TensorView k_rstd;   // [T, K] f32, with q/k norms only
  TensorView qkv;      // [T, W] after norms and rope
  TensorView attn;     // [T, H Q]
  TensorView lse;      // [H, T] f32
  TensorView x2;       // [T, D] residual stream after attention
  TensorView rstd2;    // [T] f32
  TensorView y2;       // [T, D]
  TensorView gate_up;  // [T, 2F]; backward overwrites it with its gradient
  TensorView act;      // [T, F]
};

// Memory for a stash. With `shared`, the pieces that `recompute` does not keep are taken from it.
BlockStash AllocateStash(Arena& arena, const std::string& name, const ModelConfig& config, int64_t num_tokens,
                         DType dtype, Recompute recompute = Recompute::kNone, const BlockStash* shared = nullptr);

// The heads of q, k and v as attention reads them.
struct QkvHeads {
  Heads q, k, v;
};
QkvHeads HeadsOf(const ModelConfig& config, const BlockStash& stash);
using Attend = absl::FunctionRef<void(const QkvHeads& heads, const Heads& out, TensorView lse)>;

struct BlockInput {
  ConstTensorView x;          // [T, D]; may be stash.x itself
  ConstTensorView delta;      // [T, D], or empty
  ConstTensorView positions;  // [T] i32
};

// Attention half: fills the stash up to attn.
void AttentionHalfForward(Stream& stream, const ModelConfig& config, const BlockWeights& weights, const RopeTable& rope,
                          const BlockInput& input, Attend attend, BlockStash& stash);
// MLP half: fills the rest, from stash.x and stash.attn. delta [T, D] is scratch, then the block's output. With
// `keep_output` false (recomputation) the down projection, whose result is not needed again, is left out.
void MlpHalfForward(Stream& stream, const ModelConfig& config, const BlockWeights& weights, BlockStash& stash,
                    TensorView delta, bool keep_output = true);

// Scratch of the backward pass, shared by all blocks.
struct BlockBackwardScratch {
  TensorView dy;     // [T, D]
  TensorView dact;   // [T, F]
  TensorView dattn;  // [T, H Q]
  TensorView dqkv;   // [T, W]
};
BlockBackwardScratch AllocateBackwardScratch(Arena& arena, const ModelConfig& config, int64_t num_tokens, DType dtype);

// Gradients of the residual stream: dout at the block's exit (given), dx2 after attention and dx at its entry.
struct ResidualGrads {
  ConstTensorView dout;  // [T, D]
  TensorView dx2;        // [T, D]
  TensorView dx;         // [T, D]
};

// Input gradients, and those of the norm weights (their pass over memory is the same).
void BlockBackwardInput(Stream& stream, const ModelConfig& config, const BlockWeights& weights, const RopeTable& rope,
                        ConstTensorView positions, const Packing& packing, BlockStash& stash,
                        const BlockBackwardScratch& scratch, const ResidualGrads& residual, const BlockGrads& grads);
// Gradients of the projections, accumulated; must follow BlockBackwardInput before its scratch is used again.
void BlockBackwardWeight(Stream& stream, const BlockStash& stash, const BlockBackwardScratch& scratch,
                         const ResidualGrads& residual, const BlockGrads& grads);

}  // namespace weft
