// The decoder as a stage: what each action of a schedule does (see decoder.h).
#include "model/decoder.h"

#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/embedding.h"

namespace weft {

Decoder::Decoder(const ModelConfig& config, const DecoderParams& params, ParamStore* store, Stream* stream,
                 const Options& options)
    : params_(params),
      store_(store),
      stream_(stream),
      options_(options),
      arena_(store->device()),
      tp_(options.tensor_parallel, arena_, options.tokens_per_micro_batch, config.hidden_size,
          store->options().compute_dtype),
      config_(LocalConfig(config, tp_.size())),
      rope_(MakeRopeTable(*stream, config, options.max_positions)) {
  const ActivationSizes sizes = {.num_tokens = options.tokens_per_micro_batch,
                                 .dtype = store->options().compute_dtype, .tp = tp_.size()};
  WEFT_CHECK_EQ(sizes.num_tokens % sizes.tp, 0) << "tokens that " << sizes.tp << " ranks cannot share equally";
  memory_ = AllocateDecoderMemory(arena_, config_, sizes, options_.recompute, options_.stages, options_.stage,
                                  options_.peaks);
}

void Decoder::BeginTraining(std::vector<MicroBatchView> micro_batches, float loss_scale) {
  Begin(std::move(micro_batches));
  loss_scale_ = loss_scale;
  evaluating_ = false;
}

void Decoder::BeginEvaluation(std::vector<MicroBatchView> micro_batches) {
  Begin(std::move(micro_batches));
  evaluating_ = true;
}

void Decoder::Begin(std::vector<MicroBatchView> micro_batches) {
  WEFT_CHECK(memory_.stashes.all_free() && memory_.head_stashes.all_free() && memory_.works.all_free() &&
             memory_.residual_grads.all_free() && memory_.outgoing.all_free())
      << "the last plan left activations behind";
  for (const MicroBatchView& micro_batch : micro_batches) {
    WEFT_CHECK_EQ(micro_batch.tokens.dim(0), options_.tokens_per_micro_batch);
  }
  micro_batches_ = std::move(micro_batches);
  stream_->Zero(memory_.loss_sum);
}

template <typename T>
T& Decoder::Take(SlotPool<T>& pool, int group, int micro_batch) {
  T& buffer = pool.Acquire(group, micro_batch);
  stream_->Wait(pool.FreeAfter(group, micro_batch));
  return buffer;
}

// With one pipeline rank no other stream touches these buffers, and the order of the compute stream is enough.
template <typename T>
void Decoder::Return(SlotPool<T>& pool, int group, int micro_batch) {
  pool.Release(group, micro_batch, options_.stages.pp > 1 ? stream_->Record() : Event());
}

HeadWeights Decoder::head_weights() const {
  return {.norm = WeightsOf(*store_, params_.final_norm), .lm_head = store_->Weight(params_.lm_head)};
}

// --- Forward ---------------------------------------------------------------------------------------------------------

void Decoder::Forward(int group, int micro_batch) {
  if (group == params_.embedding_group()) {
    ForwardEmbedding(micro_batch);
  } else if (group == params_.head_group()) {
    ForwardHead(micro_batch);
  } else {
    ForwardBlock(group, micro_batch);
  }
  if (evaluating_) ReturnAfterEvaluation(group, micro_batch);
}

// The output goes where the block above takes it in, also where that block is on another rank.
void Decoder::ForwardEmbedding(int micro_batch) {
  const TensorView x = Take(memory_.stashes, params_.embedding_group() + 1, micro_batch).x;
  const TensorView partial = tp_.PartialSums(x);
  const auto forward = [&](ConstTensorView ids, int param, bool accumulate) {
    const ConstTensorView table = store_->Weight(param);
    EmbeddingForward(*stream_, {.tokens = ids, .table = table, .y = partial, .vocab_begin = RowBegin(table),
                                .accumulate = accumulate});
  };
  forward(BatchOf(micro_batch).tokens, params_.embedding, /*accumulate=*/false);
  if (params_.positions >= 0) forward(BatchOf(micro_batch).positions, params_.positions, /*accumulate=*/true);
  tp_.ReduceScatter(*stream_, partial, x);
  residual_ = {.x = x, .delta = {}, .group = params_.embedding_group(), .micro_batch = micro_batch};
}

Decoder::ResidualStream Decoder::InputOf(int group, int micro_batch, ConstTensorView x) const {
  if (options_.stages.IsFirstOfStage(group)) return {.x = x, .delta = {}};
  WEFT_CHECK(residual_.group == group - 1 && residual_.micro_batch == micro_batch)
      << "the forward of group " << group << ", micro-batch " << micro_batch << " follows that of group "
      << residual_.group << ", micro-batch " << residual_.micro_batch;
  return residual_;
}

void Decoder::ForwardBlock(int group, int micro_batch) {
  const bool last = options_.stages.IsLastOfStage(group);
  // The stash may have been taken where the input was written: by a receive, or by the embedding.
  const bool has_stash = options_.stages.IsFirstOfStage(group) || group == params_.embedding_group() + 1;
  const bool recomputes = options_.recompute != Recompute::kNone;
  BlockStash stash = has_stash ? memory_.stashes.Of(group, micro_batch) : Take(memory_.stashes, group, micro_batch);
  if (recomputes) stash = Joined(stash, Take(memory_.works, group, micro_batch).recomputed);
  const ResidualStream input = InputOf(group, micro_batch, stash.x);
  const TensorView delta = last ? Take(memory_.outgoing, group, micro_batch) : memory_.delta;

  ForwardAttentionHalf(group, micro_batch,
                       {.x = input.x, .delta = input.delta, .positions = BatchOf(micro_batch).positions}, stash);
  MlpHalfForward(context(), WeightsOf(*store_, BlockOf(group)), stash, delta);
  if (last) Accumulate(*stream_, {.x = stash.x2.Flat(), .y = delta.Flat()});
  residual_ = {.x = stash.x2, .delta = delta, .group = group, .micro_batch = micro_batch};
  // The next block still reads x2, before anything writes these pieces again.
  if (recomputes) Return(memory_.works, group, micro_batch);
}

void Decoder::ForwardAttentionHalf(int group, int micro_batch, const BlockInput& input, const BlockStash& stash) {
  const Packing& packing = BatchOf(micro_batch).packing;
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_dim)));
  const auto attend = [&](const QkvHeads& heads, const Heads& out, TensorView lse) {
    AttentionForward(*stream_, {.q = heads.q, .k = heads.k, .v = heads.v, .packing = packing, .out = out, .lse = lse,
                                .scale = scale});
  };
  AttentionHalfForward(context(), WeightsOf(*store_, BlockOf(group)), input, attend, stash);
}

void Decoder::ForwardHead(int micro_batch) {
  const int group = params_.head_group();
  const bool first = options_.stages.IsFirstOfStage(group);
  SlotPool<HeadStash>& stashes = memory_.head_stashes;
  const HeadStash& stash = first ? stashes.Of(group, micro_batch) : Take(stashes, group, micro_batch);
  const ResidualStream input = InputOf(group, micro_batch, stash.x);
  HeadForward(*stream_, config_, head_weights(), input.x, input.delta, stash);
  head_input_ = stash.y;
  if (!evaluating_) return;
  const MicroBatchView& batch = BatchOf(micro_batch);
  HeadLoss(*stream_, tp_, head_weights(), stash, {batch.targets, batch.weights, memory_.loss_sum}, memory_.head_scratch);
}

// Without a backward pass, a stash has served when the next group has read it, or at once where nobody on this rank does.
void Decoder::ReturnAfterEvaluation(int group, int micro_batch) {
  const StageLayout& stages = options_.stages;
  if (!stages.IsFirstOfStage(group) && stages.IsBlock(group - 1)) Return(memory_.stashes, group - 1, micro_batch);
  if (group == params_.head_group()) {
    Return(memory_.head_stashes, group, micro_batch);
  } else if (stages.IsBlock(group) && stages.IsLastOfStage(group)) {
    Return(memory_.stashes, group, micro_batch);
  }
}

// --- Backward --------------------------------------------------------------------------------------------------------

void Decoder::BackwardInput(int group, int micro_batch) {
  if (group == params_.head_group()) {
    BackwardHead(micro_batch);
  } else if (group != params_.embedding_group()) {  // which has no input to differentiate
    BackwardBlockInput(group, micro_batch);
  }
}

void Decoder::BackwardWeight(int group, int micro_batch) {
  if (group == params_.head_group()) {  // its weight gradient came with its input gradient, chunk by chunk
    Return(memory_.head_stashes, group, micro_batch);
  } else if (group == params_.embedding_group()) {
    BackwardEmbedding(micro_batch);
  } else {
    BackwardBlockWeight(group, micro_batch);
  }
}

void Decoder::BackwardHead(int micro_batch) {
  const int group = params_.head_group();
  const MicroBatchView& batch = BatchOf(micro_batch);
  const TensorView dx = Take(memory_.residual_grads, group - 1, micro_batch);
  HeadBackward(*stream_, tp_, head_weights(), memory_.head_stashes.Of(group, micro_batch),
               {batch.targets, batch.weights, memory_.loss_sum}, loss_scale_, memory_.head_scratch,
               {GradsOf(*store_, params_.final_norm), store_->Grad(params_.lm_head)}, dx);
}

BlockStash Decoder::WholeStash(int group, int micro_batch) {
  return Joined(memory_.stashes.Of(group, micro_batch), memory_.works.Of(group, micro_batch).recomputed);
}

void Decoder::BackwardBlockInput(int group, int micro_batch) {
  const MicroBatchView& batch = BatchOf(micro_batch);
  const BlockWeights weights = WeightsOf(*store_, BlockOf(group));
  BlockWork& work = Take(memory_.works, group, micro_batch);
  const BlockStash stash = WholeStash(group, micro_batch);
  if (options_.recompute != Recompute::kNone) {
    ForwardAttentionHalf(group, micro_batch, {.x = stash.x, .delta = {}, .positions = batch.positions}, stash);
  }
  if (options_.recompute == Recompute::kBlock) {
    residual_ = {};  // in whose memory this works
    MlpHalfForward(context(), weights, stash, memory_.delta, /*keep_output=*/false);
  }
  const TensorView dout = memory_.residual_grads.Of(group, micro_batch);
  const TensorView dx = Take(memory_.residual_grads, group - 1, micro_batch);
  BlockBackwardInput(context(), weights,
                     {.positions = batch.positions, .packing = batch.packing, .stash = stash,
                      .scratch = memory_.block_scratch, .dout = dout, .dx = dx},
                     work.pending, VectorGradsOf(*store_, BlockOf(group)));
}

void Decoder::BackwardBlockWeight(int group, int micro_batch) {
  BlockBackwardWeight(context(), WholeStash(group, micro_batch), memory_.works.Of(group, micro_batch).pending,
                      MatrixGradsOf(*store_, BlockOf(group)));
  Return(memory_.works, group, micro_batch);
  Return(memory_.stashes, group, micro_batch);
  Return(memory_.residual_grads, group, micro_batch);
}

void Decoder::BackwardEmbedding(int micro_batch) {
  const int group = params_.embedding_group();
  const ConstTensorView dy = tp_.Gather(*stream_, memory_.residual_grads.Of(group, micro_batch));
  const auto backward = [&](ConstTensorView ids, int param) {
    const TensorView dtable = store_->Grad(param);
    EmbeddingBackward(*stream_, {.tokens = ids, .dy = dy, .dtable = dtable, .vocab_begin = RowBegin(dtable)});
  };
  backward(BatchOf(micro_batch).tokens, params_.embedding);
  if (params_.positions >= 0) backward(BatchOf(micro_batch).positions, params_.positions);
  Return(memory_.residual_grads, group, micro_batch);
}

// --- Borders of virtual stages ---------------------------------------------------------------------------------------

Stage::Border Decoder::ActivationToSend(int group, int micro_batch) {
  const bool is_embedding = group == params_.embedding_group();
  const TensorView data = is_embedding ? memory_.stashes.Of(group + 1, micro_batch).x
                                       : memory_.outgoing.Of(group, micro_batch);
  return {.data = data, .ready = stream_->Record()};
}

void Decoder::ActivationSent(int group, int micro_batch, const Event& done) {
  if (group == params_.embedding_group()) {
    memory_.stashes.Release(group + 1, micro_batch, done);
  } else {
    memory_.outgoing.Release(group, micro_batch, done);
  }
}

Stage::Border Decoder::ActivationToReceive(int group, int micro_batch) {
  if (group == params_.head_group()) {
    const TensorView x = memory_.head_stashes.Acquire(group, micro_batch).x;
    return {.data = x, .ready = memory_.head_stashes.FreeAfter(group, micro_batch)};
  }
  const TensorView x = memory_.stashes.Acquire(group, micro_batch).x;
  return {.data = x, .ready = memory_.stashes.FreeAfter(group, micro_batch)};
}

Stage::Border Decoder::GradientToSend(int group, int micro_batch) {
  return {.data = memory_.residual_grads.Of(group - 1, micro_batch), .ready = stream_->Record()};
}

void Decoder::GradientSent(int group, int micro_batch, const Event& done) {
  memory_.residual_grads.Release(group - 1, micro_batch, done);
}

Stage::Border Decoder::GradientToReceive(int group, int micro_batch) {
  const TensorView data = memory_.residual_grads.Acquire(group, micro_batch);
  return {.data = data, .ready = memory_.residual_grads.FreeAfter(group, micro_batch)};
}

}  // namespace weft
