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
// dx = dy · W
void LinearBackwardInput(Stream& stream, ConstTensorView dy, ConstTensorView weight, TensorView dx) {
  Gemm(stream, {.a = dy, .b = weight, .c = dx});
}
// dW += dy^T · x
void LinearBackwardWeight(Stream& stream, ConstTensorView dy, ConstTensorView x, TensorView dweight) {
  Gemm(stream, {.a = dy, .b = x, .c = dweight, .transpose_a = true, .accumulate = true});
}

}  // namespace

BlockStash AllocateStash(Arena& arena, const std::string& name, const ModelConfig& c, int64_t num_tokens, DType dtype,
                         Recompute recompute, const BlockStash* shared) {
  const bool keep_attention = shared == nullptr || recompute == Recompute::kNone;
  const bool keep_mlp = shared == nullptr || recompute != Recompute::kBlock;
  BlockStash stash = shared == nullptr ? BlockStash{} : *shared;
  const auto take = [&](const char* piece, const Shape& shape, DType type) {
    return arena.Allocate(name + "." + piece, shape, type);
  };
  const int64_t t = num_tokens;
  stash.x = take("x", {t, c.hidden_size}, dtype);
  if (keep_attention) {
    stash.rstd1 = take("rstd1", {t}, DType::kF32);
    stash.y1 = take("y1", {t, c.hidden_size}, dtype);
    if (c.qk_norm) {
      stash.raw_qkv = take("raw_qkv", {t, c.qkv_dim()}, dtype);
      stash.q_rstd = take("q_rstd", {t, c.num_attention_heads}, DType::kF32);
      stash.k_rstd = take("k_rstd", {t, c.num_key_value_heads}, DType::kF32);
    }
    stash.qkv = take("qkv", {t, c.qkv_dim()}, dtype);
    stash.attn = take("attn", {t, c.q_dim()}, dtype);
    stash.lse = take("lse", {c.num_attention_heads, t}, DType::kF32);
  }
  if (keep_mlp) {
    stash.x2 = take("x2", {t, c.hidden_size}, dtype);
    stash.rstd2 = take("rstd2", {t}, DType::kF32);
    stash.y2 = take("y2", {t, c.hidden_size}, dtype);
    stash.gate_up = take("gate_up", {t, 2 * c.intermediate_size}, dtype);
    stash.act = take("act", {t, c.intermediate_size}, dtype);
  }
  return stash;
}

BlockBackwardScratch AllocateBackwardScratch(Arena& arena, const ModelConfig& c, int64_t num_tokens, DType dtype) {
  return {.dy = arena.Allocate("backward.dy", {num_tokens, c.hidden_size}, dtype),
          .dact = arena.Allocate("backward.dact", {num_tokens, c.intermediate_size}, dtype),
          .dattn = arena.Allocate("backward.dattn", {num_tokens, c.q_dim()}, dtype),
          .dqkv = arena.Allocate("backward.dqkv", {num_tokens, c.qkv_dim()}, dtype)};
}

QkvHeads HeadsOf(const ModelConfig& c, const BlockStash& stash) {
  return {QHeads(c, stash.qkv), KHeads(c, stash.qkv), VHeads(c, c.qk_norm ? stash.raw_qkv : stash.qkv)};
}

void AttentionHalfForward(Stream& stream, const ModelConfig& c, const BlockWeights& w, const RopeTable& rope,
                          const BlockInput& input, Attend attend, BlockStash& stash) {
  RmsNormForward(stream, {.x = input.x, .delta = input.delta, .weight = w.attn_norm,
                          .sum = input.delta.empty() ? TensorView() : stash.x, .y = stash.y1, .rstd = stash.rstd1,
                          .eps = Epsilon(c)});
  const TensorView projected = c.qk_norm ? stash.raw_qkv : stash.qkv;
  Linear(stream, stash.y1, w.wqkv, projected);
  if (c.qkv_bias) AddBias(stream, {.y = projected, .bias = w.bqkv});
  if (c.qk_norm) {
    HeadNormForward(stream, {.x = QHeads(c, stash.raw_qkv), .weight = w.q_norm, .y = QHeads(c, stash.qkv),
                             .rstd = stash.q_rstd, .eps = Epsilon(c)});
    HeadNormForward(stream, {.x = KHeads(c, stash.raw_qkv), .weight = w.k_norm, .y = KHeads(c, stash.qkv),
                             .rstd = stash.k_rstd, .eps = Epsilon(c)});
  }
  Rope(stream, {.x = QueryKeyHeads(c, stash.qkv), .positions = input.positions, .cos = rope.cos, .sin = rope.sin});
  attend(HeadsOf(c, stash), OutHeads(c, stash.attn), stash.lse);
}

void MlpHalfForward(Stream& stream, const ModelConfig& c, const BlockWeights& w, BlockStash& stash, TensorView delta,
                    bool keep_output) {
  Linear(stream, stash.attn, w.wo, delta);
  RmsNormForward(stream, {.x = stash.x, .delta = delta, .weight = w.mlp_norm, .sum = stash.x2, .y = stash.y2,
                          .rstd = stash.rstd2, .eps = Epsilon(c)});
  Linear(stream, stash.y2, w.w_gate_up, stash.gate_up);
  SwigluForward(stream, {.gate_up = stash.gate_up, .y = stash.act});
  if (keep_output) Linear(stream, stash.act, w.w_down, delta);
}

void BlockBackwardInput(Stream& stream, const ModelConfig& c, const BlockWeights& w, const RopeTable& rope,
                        ConstTensorView positions, const Packing& packing, BlockStash& stash,
                        const BlockBackwardScratch& scratch, const ResidualGrads& residual, const BlockGrads& grads) {
  // MLP half.
  LinearBackwardInput(stream, residual.dout, w.w_down, scratch.dact);
  const TensorView dgate_up = stash.gate_up;
  SwigluBackward(stream, {.dy = scratch.dact, .gate_up = stash.gate_up, .dgate_up = dgate_up});
  LinearBackwardInput(stream, dgate_up, w.w_gate_up, scratch.dy);
  RmsNormBackward(stream, {.dy = scratch.dy, .dsum = residual.dout, .x = stash.x2, .weight = w.mlp_norm,
                           .rstd = stash.rstd2, .dx = residual.dx2, .dweight = grads.mlp_norm});
  // Attention half.
  LinearBackwardInput(stream, residual.dx2, w.wo, scratch.dattn);
  const QkvHeads heads = HeadsOf(c, stash);
  AttentionBackward(stream, {.q = heads.q, .k = heads.k, .v = heads.v, .out = OutHeads(c, stash.attn),
                             .dout = OutHeads(c, scratch.dattn), .lse = stash.lse, .packing = packing,
                             .dq = QHeads(c, scratch.dqkv), .dk = KHeads(c, scratch.dqkv),
                             .dv = VHeads(c, scratch.dqkv), .scale = AttentionScale(c)});
  Rope(stream, {.x = QueryKeyHeads(c, scratch.dqkv), .positions = positions, .cos = rope.cos, .sin = rope.sin,
                .transpose = true});
  if (c.qk_norm) {
    HeadNormBackward(stream, {.dy = QHeads(c, scratch.dqkv), .x = QHeads(c, stash.raw_qkv), .weight = w.q_norm,
                              .rstd = stash.q_rstd, .dx = QHeads(c, scratch.dqkv), .dweight = grads.q_norm});
    HeadNormBackward(stream, {.dy = KHeads(c, scratch.dqkv), .x = KHeads(c, stash.raw_qkv), .weight = w.k_norm,
                              .rstd = stash.k_rstd, .dx = KHeads(c, scratch.dqkv), .dweight = grads.k_norm});
  }
  LinearBackwardInput(stream, scratch.dqkv, w.wqkv, scratch.dy);
  RmsNormBackward(stream, {.dy = scratch.dy, .dsum = residual.dx2, .x = stash.x, .weight = w.attn_norm,
                           .rstd = stash.rstd1, .dx = residual.dx, .dweight = grads.attn_norm});
}

void BlockBackwardWeight(Stream& stream, const BlockStash& stash, const BlockBackwardScratch& scratch,
                         const ResidualGrads& residual, const BlockGrads& grads) {
  LinearBackwardWeight(stream, residual.dout, stash.act, grads.w_down);
  LinearBackwardWeight(stream, stash.gate_up, stash.y2, grads.w_gate_up);
  LinearBackwardWeight(stream, residual.dx2, stash.attn, grads.wo);
  LinearBackwardWeight(stream, scratch.dqkv, stash.y1, grads.wqkv);
  if (!grads.bqkv.empty()) BiasGrad(stream, {.dy = scratch.dqkv, .dbias = grads.bqkv});
}

}  // namespace weft
