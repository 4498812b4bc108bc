// Chunked language-model head and loss (see head.h).
#include "model/head.h"

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/gemm.h"
#include "kernels/rms_norm.h"

namespace weft {
namespace {

// Tokens a chunk: enough rows to keep a GEMM busy, few enough that the logits stay small (64 MiB in f32 on the host,
// 512 MiB on a GPU).
int64_t ChunkTokens(const ModelConfig& config, int64_t num_tokens, Device device) {
  const int64_t budget = device.is_cuda() ? int64_t{1} << 27 : int64_t{1} << 24;  // elements
  const int64_t fitting = std::max<int64_t>(64, budget / config.vocab_size / 64 * 64);
  return std::min(num_tokens, fitting);
}

// Calls body(begin, end, logits) for each chunk, with its logits computed.
template <typename Body>
void ForEachChunk(Stream& stream, const HeadWeights& weights, const HeadStash& stash, const HeadScratch& scratch,
                  const Body& body) {
  const int64_t num_tokens = stash.y.dim(0), chunk = scratch.logits.dim(0);
  for (int64_t begin = 0; begin < num_tokens; begin += chunk) {
    const int64_t end = std::min(num_tokens, begin + chunk);
    const TensorView logits = scratch.logits.Rows(0, end - begin);
    Gemm(stream, {.a = stash.y.Rows(begin, end), .b = weights.lm_head, .c = logits, .transpose_b = true});
    body(begin, end, logits);
  }
}

// The loss of a chunk, added to the sum; leaves each row's log-sum-exp in scratch.lse.
void ChunkLoss(Stream& stream, const HeadTargets& targets, const HeadScratch& scratch, int64_t begin, int64_t end,
               ConstTensorView logits) {
  const TensorView lse = scratch.lse.Rows(0, end - begin), target_logit = scratch.target_logit.Rows(0, end - begin);
  CrossEntropyStats(stream, {.logits = logits, .targets = targets.targets.Rows(begin, end), .lse = lse,
                             .target_logit = target_logit});
  CrossEntropyLoss(stream, {.lse = lse, .target_logit = target_logit, .weights = targets.weights.Rows(begin, end),
                            .loss_sum = targets.loss_sum});
}

}  // namespace

HeadStash AllocateHeadStash(Arena& arena, const ModelConfig& c, int64_t num_tokens, DType dtype) {
  return {.x = arena.Allocate("head.x", {num_tokens, c.hidden_size}, dtype),
          .rstd = arena.Allocate("head.rstd", {num_tokens}, DType::kF32),
          .y = arena.Allocate("head.y", {num_tokens, c.hidden_size}, dtype)};
}

HeadScratch AllocateHeadScratch(Arena& arena, const ModelConfig& c, int64_t num_tokens, DType dtype) {
  const int64_t chunk = ChunkTokens(c, num_tokens, arena.device());
  return {.logits = arena.Allocate("head.logits", {chunk, c.vocab_size}, dtype),
          .lse = arena.Allocate("head.lse", {chunk}, DType::kF32),
          .target_logit = arena.Allocate("head.target_logit", {chunk}, DType::kF32),
          .dy = arena.Allocate("head.dy", {num_tokens, c.hidden_size}, dtype)};
}

void HeadForward(Stream& stream, const ModelConfig& config, const HeadWeights& weights, ConstTensorView x,
                 ConstTensorView delta, const HeadStash& stash) {
  RmsNormForward(stream, {.x = x, .delta = delta, .weight = weights.norm,
                          .sum = delta.empty() ? TensorView() : stash.x, .y = stash.y, .rstd = stash.rstd,
                          .eps = static_cast<float>(config.rms_norm_eps)});
}

void HeadLoss(Stream& stream, const HeadWeights& weights, const HeadStash& stash, const HeadTargets& targets,
              const HeadScratch& scratch) {
  ForEachChunk(stream, weights, stash, scratch, [&](int64_t begin, int64_t end, TensorView logits) {
    ChunkLoss(stream, targets, scratch, begin, end, logits);
  });
}

void HeadBackward(Stream& stream, const HeadWeights& weights, const HeadStash& stash, const HeadTargets& targets,
                  float loss_scale, const HeadScratch& scratch, const HeadGrads& grads, TensorView dx) {
  ForEachChunk(stream, weights, stash, scratch, [&](int64_t begin, int64_t end, TensorView logits) {
    ChunkLoss(stream, targets, scratch, begin, end, logits);
    CrossEntropyGrad(stream, {.logits = logits, .targets = targets.targets.Rows(begin, end),
                              .weights = targets.weights.Rows(begin, end), .lse = scratch.lse.Rows(0, end - begin),
                              .scale = loss_scale});
    Gemm(stream, {.a = logits, .b = weights.lm_head, .c = scratch.dy.Rows(begin, end)});
    Gemm(stream, {.a = logits, .b = stash.y.Rows(begin, end), .c = grads.lm_head, .transpose_a = true,
                  .accumulate = true});
  });
  RmsNormBackward(stream, {.dy = scratch.dy, .x = stash.x, .weight = weights.norm, .rstd = stash.rstd, .dx = dx,
                           .dweight = grads.norm});
}

}  // namespace weft
