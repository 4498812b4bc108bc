// The decoder block's forward and hand-written backward (see block.h).
#include "model/block.h"

#include <cmath>

#include "kernels/bias.h"
#include "kernels/gemm.h"
#include "kernels/head_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace weft {
namespace {

float Epsilon(const ModelConfig& config) { return static_cast<float>(config.rms_norm_eps); }

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

// y = x · W^T
void Linear(Stream& stream, ConstTensorView x, ConstTensorView weight, TensorView y) {
  Gemm(stream, {.a = x, .b = weight, .c = y, .transpose_b = true});
}
// The same where x and W are cut along the sum: y [T/tp, D] is this rank's tokens of the sum over the ranks.
void SummedLinear(const BlockContext& context, ConstTensorView x, ConstTensorView weight, TensorView y) {
  const TensorView partial = context.tp.PartialSums(y);
  Linear(context.stream, x, weight, partial);
  context.tp.ReduceScatter(context.stream, partial, y);
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

// Pieces of a stash, taken one by one from an arena.
class StashAllocator {
 public:
  StashAllocator(Arena& arena, const std::string& name, const ModelConfig& config, const ActivationSizes& sizes)
      : arena_(arena), name_(name), c_(config), sizes_(sizes) {}

  void TakeInput(BlockStash* stash) { stash->x = Take("x", {sizes_.local_tokens(), c_.hidden_size}); }
  void TakeAttentionHalf(BlockStash* stash) {
    const int64_t t = sizes_.num_tokens;
    stash->rstd1 = Take("rstd1", {sizes_.local_tokens()}, DType::kF32);
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
    stash->rstd2 = Take("rstd2", {sizes_.local_tokens()}, DType::kF32);
    stash->y2 = Take("y2", {sizes_.local_tokens(), c_.hidden_size});
    stash->gate_up = Take("gate_up", {sizes_.num_tokens, 2 * c_.intermediate_size});
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

BlockStash Joined(BlockStash kept, const BlockStash& recomputed) {
  using S = BlockStash;
  for (TensorView S::*piece : {&S::rstd1, &S::y1, &S::raw_qkv, &S::q_rstd, &S::k_rstd, &S::qkv, &S::attn, &S::lse, &S::x2,
                               &S::rstd2, &S::y2, &S::gate_up, &S::act}) {
    if ((kept.*piece).empty()) kept.*piece = recomputed.*piece;
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
  RmsNormForward(stream, {.x = input.x, .delta = input.delta, .weight = w.attn_norm,
                          .sum = input.delta.empty() ? TensorView() : stash.x, .y = stash.y1, .rstd = stash.rstd1,
                          .eps = Epsilon(c)});
  const TensorView projected = c.qk_norm ? stash.raw_qkv : stash.qkv;
  Linear(stream, context.tp.Gather(stream, stash.y1), w.wqkv, projected);
  if (c.qkv_bias) AddBias(stream, {.y = projected, .bias = w.bqkv});
  if (c.qk_norm) {
    HeadNormForward(stream, {.x = QHeads(c, stash.raw_qkv), .weight = w.q_norm, .y = QHeads(c, stash.qkv),
                             .rstd = stash.q_rstd, .eps = Epsilon(c)});
    HeadNormForward(stream, {.x = KHeads(c, stash.raw_qkv), .weight = w.k_norm, .y = KHeads(c, stash.qkv),
                             .rstd = stash.k_rstd, .eps = Epsilon(c)});
  }
  Rope(stream, {.x = QueryKeyHeads(c, stash.qkv), .positions = input.positions, .cos = context.rope.cos,
                .sin = context.rope.sin});
  attend(HeadsOf(c, stash), OutHeads(c, stash.attn), stash.lse);
}

void MlpHalfForward(const BlockContext& context, const BlockWeights& w, const BlockStash& stash, TensorView delta,
                    bool keep_output) {
  Stream& stream = context.stream;
  SummedLinear(context, stash.attn, w.wo, delta);
  RmsNormForward(stream, {.x = stash.x, .delta = delta, .weight = w.mlp_norm, .sum = stash.x2, .y = stash.y2,
                          .rstd = stash.rstd2, .eps = Epsilon(context.config)});
  Linear(stream, context.tp.Gather(stream, stash.y2), w.w_gate_up, stash.gate_up);
  SwigluForward(stream, {.gate_up = stash.gate_up, .y = stash.act});
  if (keep_output) SummedLinear(context, stash.act, w.w_down, delta);
}

namespace {

// From dout to dx2.
void MlpHalfBackwardInput(const BlockContext& context, const BlockWeights& w, const BlockBackwardArgs& args,
                          PendingWeightGrads& pending, const BlockNormGrads& grads) {
  Stream& stream = context.stream;
  const TensorView dgate_up = args.stash.gate_up;
  pending.whole_dout = context.tp.Gather(stream, args.dout, pending.dout_memory);
  LinearBackwardInput(stream, pending.whole_dout, w.w_down, args.scratch.dact);
  SwigluBackward(stream, {.dy = args.scratch.dact, .gate_up = args.stash.gate_up, .dgate_up = dgate_up});
  SummedLinearBackwardInput(context, dgate_up, w.w_gate_up, args.scratch.dy);
  RmsNormBackward(stream, {.dy = args.scratch.dy, .dsum = args.dout, .x = args.stash.x2, .weight = w.mlp_norm,
                           .rstd = args.stash.rstd2, .dx = pending.dx2, .dweight = grads.mlp_norm});
}

// From dx2 to dx.
void AttentionHalfBackwardInput(const BlockContext& context, const BlockWeights& w, const BlockBackwardArgs& args,
                                PendingWeightGrads& pending, const BlockNormGrads& grads) {
  Stream& stream = context.stream;
  const ModelConfig& c = context.config;
  const BlockStash& stash = args.stash;
  const TensorView dqkv = pending.dqkv;
  pending.whole_dx2 = context.tp.Gather(stream, pending.dx2, pending.dx2_memory);
  LinearBackwardInput(stream, pending.whole_dx2, w.wo, args.scratch.dattn);
  const QkvHeads heads = HeadsOf(c, stash);
  AttentionBackward(stream, {.q = heads.q, .k = heads.k, .v = heads.v, .out = OutHeads(c, stash.attn),
                             .dout = OutHeads(c, args.scratch.dattn), .lse = stash.lse, .packing = args.packing,
                             .dq = QHeads(c, dqkv), .dk = KHeads(c, dqkv), .dv = VHeads(c, dqkv),
                             .scale = AttentionScale(c)});
  Rope(stream, {.x = QueryKeyHeads(c, dqkv), .positions = args.positions, .cos = context.rope.cos,
                .sin = context.rope.sin, .transpose = true});
  if (c.qk_norm) {
    HeadNormBackward(stream, {.dy = QHeads(c, dqkv), .x = QHeads(c, stash.raw_qkv), .weight = w.q_norm,
                              .rstd = stash.q_rstd, .dx = QHeads(c, dqkv), .dweight = grads.q_norm});
    HeadNormBackward(stream, {.dy = KHeads(c, dqkv), .x = KHeads(c, stash.raw_qkv), .weight = w.k_norm,
                              .rstd = stash.k_rstd, .dx = KHeads(c, dqkv), .dweight = grads.k_norm});
  }
  SummedLinearBackwardInput(context, dqkv, w.wqkv, args.scratch.dy);
  RmsNormBackward(stream, {.dy = args.scratch.dy, .dsum = pending.dx2, .x = stash.x, .weight = w.attn_norm,
                           .rstd = stash.rstd1, .dx = args.dx, .dweight = grads.attn_norm});
}

}  // namespace

void BlockBackwardInput(const BlockContext& context, const BlockWeights& weights, const BlockBackwardArgs& args,
                        PendingWeightGrads& pending, const BlockNormGrads& grads) {
  MlpHalfBackwardInput(context, weights, args, pending, grads);
  AttentionHalfBackwardInput(context, weights, args, pending, grads);
}

void BlockBackwardWeight(const BlockContext& context, const BlockStash& stash, const PendingWeightGrads& pending,
                         const BlockProjectionGrads& grads) {
  Stream& stream = context.stream;
  LinearBackwardWeight(stream, pending.whole_dout, stash.act, grads.w_down);
  LinearBackwardWeight(stream, stash.gate_up, context.tp.Gather(stream, stash.y2), grads.w_gate_up);
  LinearBackwardWeight(stream, pending.whole_dx2, stash.attn, grads.wo);
  LinearBackwardWeight(stream, pending.dqkv, context.tp.Gather(stream, stash.y1), grads.wqkv);
  if (!grads.bqkv.empty()) BiasGrad(stream, {.dy = pending.dqkv, .dbias = grads.bqkv});
}

}  // namespace weft
