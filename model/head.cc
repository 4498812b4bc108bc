// Chunked language-model head and loss (see head.h).
#include "model/head.h"

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/gemm.h"

namespace weft {
namespace {

// Tokens a chunk: enough rows to keep a GEMM busy, few enough that the logits stay small (64 MiB in f32 on the host,
// 512 MiB on a GPU).
int64_t ChunkTokens(const ModelConfig& config, int64_t num_tokens, Device device) {
  const int64_t budget = device.is_cuda() ? int64_t{1} << 27 : int64_t{1} << 24;  // elements
  const int64_t fitting = std::max<int64_t>(64, budget / config.vocab_size / 64 * 64);
  return std::min(num_tokens, fitting);
}

// Calls body(begin, end, logits) for each chunk of the tokens y [T, D], with its logits computed.
template <typename Body>
void ForEachChunk(Stream& stream, ConstTensorView y, const HeadWeights& weights, const HeadScratch& scratch,
                  const Body& body) {
  const int64_t num_tokens = y.dim(0), chunk = scratch.logits.dim(0);
  for (int64_t begin = 0; begin < num_tokens; begin += chunk) {
    const int64_t end = std::min(num_tokens, begin + chunk);
    const TensorView logits = scratch.logits.Rows(0, end - begin);
    Gemm(stream, {.a = y.Rows(begin, end), .b = weights.lm_head, .c = logits, .transpose_b = true});
    body(begin, end, logits);
  }
}

// The first elements of `memory` under another shape.
TensorView Front(TensorView memory, const Shape& shape) {
  return memory.Flat().Rows(0, shape.num_elements()).Reshaped(shape);
}

// The loss of a chunk, added to the sum; returns each row's log-sum-exp over the whole vocabulary, [end - begin] f32.
ConstTensorView ChunkLoss(Stream& stream, const TensorParallel& tp, const HeadTargets& targets,
                          const HeadScratch& scratch, int64_t begin, int64_t end, ConstTensorView logits) {
  const TensorView stats = Front(scratch.stats, {2, end - begin});
  const TensorView lse = stats.Rows(0, 1).Flat(), target_logit = stats.Rows(1, 2).Flat();
  CrossEntropyStats(stream, {.logits = logits, .targets = targets.targets.Rows(begin, end), .lse = lse,
                             .target_logit = target_logit, .vocab_begin = tp.rank() * logits.dim(1)});
  if (tp.size() > 1) {
    const TensorView all = Front(scratch.all_stats, {tp.size(), 2, end - begin});
    tp.GatherStatistics(stream, stats, all);
    CrossEntropyCombine(stream, {.parts = all, .lse = lse, .target_logit = target_logit});
  }
  if (tp.rank() == 0) {
    CrossEntropyLoss(stream, {.lse = lse, .target_logit = target_logit, .weights = targets.weights.Rows(begin, end),
                              .loss_sum = targets.loss_sum});
  }
  return lse;
}

}  // namespace

HeadStash AllocateHeadStash(Arena& arena, const ModelConfig& c, const ActivationSizes& sizes) {
  const int64_t tokens = sizes.local_tokens();
  return {.x = arena.Allocate("head.x", {tokens, c.hidden_size}, sizes.dtype),
          .stats = AllocateNormStats(arena, "head", c, tokens),
          .y = arena.Allocate("head.y", {tokens, c.hidden_size}, sizes.dtype)};
}

HeadScratch AllocateHeadScratch(Arena& arena, const ModelConfig& c, const ActivationSizes& sizes) {
  const int64_t chunk = ChunkTokens(c, sizes.num_tokens, arena.device());
  HeadScratch scratch;
  scratch.logits = arena.Allocate("head.logits", {chunk, c.vocab_size}, sizes.dtype);
  scratch.stats = arena.Allocate("head.stats", {2, chunk}, DType::kF32);
  if (sizes.tp > 1) scratch.all_stats = arena.Allocate("head.stats of all tp ranks", {sizes.tp, 2, chunk}, DType::kF32);
  scratch.dy = arena.Allocate("head.dy", {sizes.num_tokens, c.hidden_size}, sizes.dtype);
  return scratch;
}

void HeadForward(Stream& stream, const ModelConfig& config, const HeadWeights& weights, ConstTensorView x,
                 ConstTensorView delta, const HeadStash& stash) {
  NormForward(stream, config, {.x = x, .delta = delta, .weights = weights.norm, .sum = stash.x, .y = stash.y,
                               .stats = stash.stats});
}

void HeadLoss(Stream& stream, const TensorParallel& tp, const HeadWeights& weights, const HeadStash& stash,
              const HeadTargets& targets, const HeadScratch& scratch) {
  const ConstTensorView y = tp.Gather(stream, stash.y);
  ForEachChunk(stream, y, weights, scratch, [&](int64_t begin, int64_t end, TensorView logits) {
    ChunkLoss(stream, tp, targets, scratch, begin, end, logits);
  });
}

void HeadBackward(Stream& stream, const TensorParallel& tp, const HeadWeights& weights, const HeadStash& stash,
                  const HeadTargets& targets, float loss_scale, const HeadScratch& scratch, const HeadGrads& grads,
                  TensorView dx) {
  const ConstTensorView y = tp.Gather(stream, stash.y);
  ForEachChunk(stream, y, weights, scratch, [&](int64_t begin, int64_t end, TensorView logits) {
    const ConstTensorView lse = ChunkLoss(stream, tp, targets, scratch, begin, end, logits);
    CrossEntropyGrad(stream, {.logits = logits, .targets = targets.targets.Rows(begin, end),
                              .weights = targets.weights.Rows(begin, end), .lse = lse, .scale = loss_scale,
                              .vocab_begin = tp.rank() * logits.dim(1)});
    Gemm(stream, {.a = logits, .b = weights.lm_head, .c = scratch.dy.Rows(begin, end)});
    Gemm(stream, {.a = logits, .b = y.Rows(begin, end), .c = grads.lm_head, .transpose_a = true, .accumulate = true});
  });
  const int64_t tokens = stash.x.dim(0);
  const TensorView dy = scratch.dy.Rows(tp.rank() * tokens, (tp.rank() + 1) * tokens);
  tp.ReduceScatter(stream, scratch.dy, dy);
  NormBackward(stream, {.dy = dy, .dsum = {}, .x = stash.x, .weights = weights.norm, .stats = stash.stats, .dx = dx,
                        .grads = grads.norm});
}

}  // namespace weft
