// The decoder block's forward and hand-written backward (see block.h).
#include "model/block.h"

#include <cmath>

#include "kernels/bias.h"
#include "kernels/gelu.h"
#include "kernels/gemm.h"
#include "kernels/head_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace weft {
namespace {

float Epsilon(const ModelConfig& config) { return static_cast<float>(config.norm_eps); }
bool IsRotary(const ModelConfig& config) { return config.positions == PositionKind::kRotary; }

// q and k together: rotary embedding treats their heads alike.
Heads QueryKeyHeads(const ModelConfig& c, TensorView qkv) {
  return {qkv, 0, c.num_attention_heads + c.num_key_value_heads, c.head_dim};
}
Heads QHeads(const ModelConfig& c, TensorView qkv) { return {qkv, 0, c.num_attention_heads, c.head_dim}; }
Heads KHeads(const ModelConfig& c, TensorView qkv) { return {qkv, c.q_dim(), c.num_key_value_heads, c.head_dim}; }
Heads VHeads(const ModelConfig& c, TensorView qkv) {
  return {qkv, c.q_dim() + c.kv_dim(), c.num_key_value_heads, c.head_dim};
}
Heads OutHeads(const ModelConfig& c, TensorView attn) { return {attn, 0, c.num_attention_heads, c.head_dim}; }

float AttentionScale(const ModelConfig& c) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim))); }

// y = x · W^T (+ b)
void Linear(Stream& stream, ConstTensorView x, ConstTensorView weight, ConstTensorView bias, TensorView y) {
  Gemm(stream, {.a = x, .b = weight, .c = y, .transpose_b = true});
  if (!bias.empty()) AddBias(stream, {.y = y, .bias = bias});
}
// The same where x and W are cut along the sum: y [T/tp, D] is this rank's tokens of the sum over the ranks, to which the
// bias is added once.
void SummedLinear(const BlockContext& context, ConstTensorView x, ConstTensorView weight, ConstTensorView bias, TensorView y) {
  const TensorView partial = context.tp.PartialSums(y);
  Linear(context.stream, x, weight, {}, partial);
  context.tp.ReduceScatter(context.stream, partial, y);
  if (!bias.empty()) AddBias(context.stream, {.y = y, .bias = bias});
}
// dx = dy · W
void LinearBackwardInput(Stream& stream, ConstTensorView dy, ConstTensorView weight, TensorView dx) {
  Gemm(stream, {.a = dy, .b = weight, .c = dx});
}
// The same where dy and W are cut along the sum; dx is [T/tp, D].
void SummedLinearBackwardInput(const BlockContext& context, ConstTensorView dy, ConstTensorView weight, TensorView dx) {
  const TensorView partial = context.tp.PartialSums(dx);
  LinearBackwardInput(context.stream, dy, weight, partial);
  context.tp.ReduceScatter(context.stream, partial, dx);
}
// dW += dy^T · x
void LinearBackwardWeight(Stream& stream, ConstTensorView dy, ConstTensorView x, TensorView dweight) {
  Gemm(stream, {.a = dy, .b = x, .c = dweight, .transpose_a = true, .accumulate = true});
}

// db += the rows of dy, where there is a bias
void AccumulateBiasGrad(Stream& stream, ConstTensorView dy, TensorView dbias) {
  if (!dbias.empty()) BiasGrad(stream, {.dy = dy, .dbias = dbias});
}

void ActivationForward(const BlockContext& context, ConstTensorView up, TensorView act) {
  if (context.config.activation == Activation::kSwiglu) {
    SwigluForward(context.stream, {.gate_up = up, .y = act});
  } else {
    GeluForward(context.stream, {.x = up, .y = act});
  }
}
// dup may be up.
void ActivationBackward(const BlockContext& context, ConstTensorView dact, ConstTensorView up, TensorView dup) {
  if (context.config.activation == Activation::kSwiglu) {
    SwigluBackward(context.stream, {.dy = dact, .gate_up = up, .dgate_up = dup});
  } else {
    GeluBackward(context.stream, {.dy = dact, .x = up, .dx = dup});
  }
}

// Pieces of a stash, taken one by one from an arena.
class StashAllocator {
 public:
  StashAllocator(Arena& arena, const std::string& name, const ModelConfig& config, const ActivationSizes& sizes)
      : arena_(arena), name_(name), c_(config), sizes_(sizes) {}

  void TakeInput(BlockStash* stash) { stash->x = Take("x", {sizes_.local_tokens(), c_.hidden_size}); }
  void TakeAttentionHalf(BlockStash* stash) {
    const int64_t t = sizes_.num_tokens;
    stash->norm1 = AllocateNormStats(arena_, name_ + ".norm1", c_, sizes_.local_tokens());
    stash->y1 = Take("y1", {sizes_.local_tokens(), c_.hidden_size});
    if (c_.qk_norm) {
      stash->raw_qkv = Take("raw_qkv", {t, c_.qkv_dim()});
      stash->q_rstd = Take("q_rstd", {t, c_.num_attention_heads}, DType::kF32);
      stash->k_rstd = Take("k_rstd", {t, c_.num_key_value_heads}, DType::kF32);
    }
    stash->qkv = Take("qkv", {t, c_.qkv_dim()});
    stash->attn = Take("attn", {t, c_.q_dim()});
    stash->lse = Take("lse", {c_.num_attention_heads, t}, DType::kF32);
  }
  void TakeMlpHalf(BlockStash* stash) {
    stash->x2 = Take("x2", {sizes_.local_tokens(), c_.hidden_size});
    stash->norm2 = AllocateNormStats(arena_, name_ + ".norm2", c_, sizes_.local_tokens());
    stash->y2 = Take("y2", {sizes_.local_tokens(), c_.hidden_size});
    stash->up = Take("up", {sizes_.num_tokens, c_.up_dim()});
    stash->act = Take("act", {sizes_.num_tokens, c_.intermediate_size});
  }

 private:
  TensorView Take(const char* piece, const Shape& shape, DType dtype) {
    return arena_.Allocate(StrCat(name_, ".", piece), shape, dtype);
  }
  TensorView Take(const char* piece, const Shape& shape) { return Take(piece, shape, sizes_.dtype); }

  Arena& arena_;
  const std::string& name_;
  const ModelConfig& c_;
  const ActivationSizes& sizes_;
};

}  // namespace

BlockStash AllocateStash(Arena& arena, const std::string& name, const ModelConfig& config, const ActivationSizes& sizes,
                         Recompute recompute) {
  StashAllocator allocator(arena, name, config, sizes);
  BlockStash stash;
  allocator.TakeInput(&stash);
  if (recompute == Recompute::kNone) allocator.TakeAttentionHalf(&stash);
  if (recompute != Recompute::kBlock) allocator.TakeMlpHalf(&stash);
  return stash;
}

BlockStash AllocateRecomputed(Arena& arena, const std::string& name, const ModelConfig& config,
                              const ActivationSizes& sizes, Recompute recompute) {
  StashAllocator allocator(arena, name, config, sizes);
  BlockStash stash;
  if (recompute != Recompute::kNone) allocator.TakeAttentionHalf(&stash);
  if (recompute == Recompute::kBlock) allocator.TakeMlpHalf(&stash);
  return stash;
}

std::array<TensorView*, 16> BlockStash::Pieces() {
  return {&x, &norm1.mean, &norm1.rstd, &y1, &raw_qkv, &q_rstd, &k_rstd, &qkv,
          &attn, &lse, &x2, &norm2.mean, &norm2.rstd, &y2, &up, &act};
}

BlockStash Joined(BlockStash kept, const BlockStash& recomputed) {
  BlockStash others = recomputed;
  const auto pieces = kept.Pieces(), other_pieces = others.Pieces();
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i]->empty()) *pieces[i] = *other_pieces[i];
  }
  return kept;
}

BlockBackwardScratch AllocateBackwardScratch(Arena& arena, const ModelConfig& c, const ActivationSizes& sizes) {
  return {.dy = arena.Allocate("backward.dy", {sizes.local_tokens(), c.hidden_size}, sizes.dtype),
          .dact = arena.Allocate("backward.dact", {sizes.num_tokens, c.intermediate_size}, sizes.dtype),
          .dattn = arena.Allocate("backward.dattn", {sizes.num_tokens, c.q_dim()}, sizes.dtype)};
}

PendingWeightGrads AllocatePendingWeightGrads(Arena& arena, const std::string& name, const ModelConfig& c,
                                              const ActivationSizes& sizes) {
  PendingWeightGrads pending;
  pending.dx2 = arena.Allocate(name + ".dx2", {sizes.local_tokens(), c.hidden_size}, sizes.dtype);
  pending.dqkv = arena.Allocate(name + ".dqkv", {sizes.num_tokens, c.qkv_dim()}, sizes.dtype);
  if (sizes.tp > 1) {
    pending.dout_memory = arena.Allocate(name + ".whole dout", {sizes.num_tokens, c.hidden_size}, sizes.dtype);
    pending.dx2_memory = arena.Allocate(name + ".whole dx2", {sizes.num_tokens, c.hidden_size}, sizes.dtype);
  }
  return pending;
}

QkvHeads HeadsOf(const ModelConfig& c, const BlockStash& stash) {
  return {QHeads(c, stash.qkv), KHeads(c, stash.qkv), VHeads(c, c.qk_norm ? stash.raw_qkv : stash.qkv)};
}

void AttentionHalfForward(const BlockContext& context, const BlockWeights& w, const BlockInput& input, Attend attend,
                          const BlockStash& stash) {
  Stream& stream = context.stream;
  const ModelConfig& c = context.config;
  NormForward(stream, c, {.x = input.x, .delta = input.delta, .weights = w.attn_norm, .sum = stash.x, .y = stash.y1,
                          .stats = stash.norm1});
  const TensorView projected = c.qk_norm ? stash.raw_qkv : stash.qkv;
  Linear(stream, context.tp.Gather(stream, stash.y1), w.wqkv, w.bqkv, projected);
  if (c.qk_norm) {
    HeadNormForward(stream, {.x = QHeads(c, stash.raw_qkv), .weight = w.q_norm, .y = QHeads(c, stash.qkv),
                             .rstd = stash.q_rstd, .eps = Epsilon(c)});
    HeadNormForward(stream, {.x = KHeads(c, stash.raw_qkv), .weight = w.k_norm, .y = KHeads(c, stash.qkv),
                             .rstd = stash.k_rstd, .eps = Epsilon(c)});
  }
  if (IsRotary(c)) {
    Rope(stream, {.x = QueryKeyHeads(c, stash.qkv), .positions = input.positions, .cos = context.rope.cos,
                  .sin = context.rope.sin});
  }
  attend(HeadsOf(c, stash), OutHeads(c, stash.attn), stash.lse);
}

void MlpHalfForward(const BlockContext& context, const BlockWeights& w, const BlockStash& stash, TensorView delta,
                    bool keep_output) {
  Stream& stream = context.stream;
  SummedLinear(context, stash.attn, w.wo, w.bo, delta);
  NormForward(stream, context.config, {.x = stash.x, .delta = delta, .weights = w.mlp_norm, .sum = stash.x2,
                                       .y = stash.y2, .stats = stash.norm2});
  Linear(stream, context.tp.Gather(stream, stash.y2), w.w_up, w.b_up, stash.up);
  ActivationForward(context, stash.up, stash.act);
  if (keep_output) SummedLinear(context, stash.act, w.w_down, w.b_down, delta);
}

namespace {

// From dout to dx2.
void MlpHalfBackwardInput(const BlockContext& context, const BlockWeights& w, const BlockBackwardArgs& args,
                          PendingWeightGrads& pending, const BlockVectorGrads& grads) {
  Stream& stream = context.stream;
  const TensorView dup = args.stash.up;
  pending.whole_dout = context.tp.Gather(stream, args.dout, pending.dout_memory);
  AccumulateBiasGrad(stream, args.dout, grads.b_down);
  LinearBackwardInput(stream, pending.whole_dout, w.w_down, args.scratch.dact);
  ActivationBackward(context, args.scratch.dact, args.stash.up, dup);
  AccumulateBiasGrad(stream, dup, grads.b_up);
  SummedLinearBackwardInput(context, dup, w.w_up, args.scratch.dy);
  NormBackward(stream, {.dy = args.scratch.dy, .dsum = args.dout, .x = args.stash.x2, .weights = w.mlp_norm,
                        .stats = args.stash.norm2, .dx = pending.dx2, .grads = grads.mlp_norm});
}

// From dx2 to dx.
void AttentionHalfBackwardInput(const BlockContext& context, const BlockWeights& w, const BlockBackwardArgs& args,
                                PendingWeightGrads& pending, const BlockVectorGrads& grads) {
  Stream& stream = context.stream;
  const ModelConfig& c = context.config;
  const BlockStash& stash = args.stash;
  const TensorView dqkv = pending.dqkv;
  pending.whole_dx2 = context.tp.Gather(stream, pending.dx2, pending.dx2_memory);
  AccumulateBiasGrad(stream, pending.dx2, grads.bo);
  LinearBackwardInput(stream, pending.whole_dx2, w.wo, args.scratch.dattn);
  const QkvHeads heads = HeadsOf(c, stash);
  AttentionBackward(stream, {.q = heads.q, .k = heads.k, .v = heads.v, .out = OutHeads(c, stash.attn),
                             .dout = OutHeads(c, args.scratch.dattn), .lse = stash.lse, .packing = args.packing,
                             .dq = QHeads(c, dqkv), .dk = KHeads(c, dqkv), .dv = VHeads(c, dqkv),
                             .scale = AttentionScale(c)});
  if (IsRotary(c)) {
    Rope(stream, {.x = QueryKeyHeads(c, dqkv), .positions = args.positions, .cos = context.rope.cos,
                  .sin = context.rope.sin, .transpose = true});
  }
  if (c.qk_norm) {
    HeadNormBackward(stream, {.dy = QHeads(c, dqkv), .x = QHeads(c, stash.raw_qkv), .weight = w.q_norm,
                              .rstd = stash.q_rstd, .dx = QHeads(c, dqkv), .dweight = grads.q_norm});
    HeadNormBackward(stream, {.dy = KHeads(c, dqkv), .x = KHeads(c, stash.raw_qkv), .weight = w.k_norm,
                              .rstd = stash.k_rstd, .dx = KHeads(c, dqkv), .dweight = grads.k_norm});
  }
  AccumulateBiasGrad(stream, dqkv, grads.bqkv);
  SummedLinearBackwardInput(context, dqkv, w.wqkv, args.scratch.dy);
  NormBackward(stream, {.dy = args.scratch.dy, .dsum = pending.dx2, .x = stash.x, .weights = w.attn_norm,
                        .stats = stash.norm1, .dx = args.dx, .grads = grads.attn_norm});
}

}  // namespace

void BlockBackwardInput(const BlockContext& context, const BlockWeights& weights, const BlockBackwardArgs& args,
                        PendingWeightGrads& pending, const BlockVectorGrads& grads) {
  MlpHalfBackwardInput(context, weights, args, pending, grads);
  AttentionHalfBackwardInput(context, weights, args, pending, grads);
}

void BlockBackwardWeight(const BlockContext& context, const BlockStash& stash, const PendingWeightGrads& pending,
                         const BlockMatrixGrads& grads) {
  Stream& stream = context.stream;
  LinearBackwardWeight(stream, pending.whole_dout, stash.act, grads.w_down);
  LinearBackwardWeight(stream, stash.up, context.tp.Gather(stream, stash.y2), grads.w_up);
  LinearBackwardWeight(stream, pending.whole_dx2, stash.attn, grads.wo);
  LinearBackwardWeight(stream, pending.dqkv, context.tp.Gather(stream, stash.y1), grads.wqkv);
}

}  // namespace weft
