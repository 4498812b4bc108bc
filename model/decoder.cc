// The decoder as a stage: what each action of a schedule does (see decoder.h).
#include "model/decoder.h"

#include <cmath>

#include "kernels/embedding.h"

namespace weft {

Decoder::Decoder(const ModelConfig& config, const DecoderParams& params, ParamStore* store, Stream* stream,
                 const Options& options)
    : config_(config),
      params_(params),
      store_(store),
      stream_(stream),
      options_(options),
      arena_(store->device()),
      rope_(MakeRopeTable(*stream, config, options.max_positions)) {
  const int64_t tokens = options.tokens_per_micro_batch;
  const DType dtype = store->options().compute_dtype;
  BlockStash shared;
  const bool recomputes = options.recompute != Recompute::kNone;
  if (recomputes) shared = AllocateStash(arena_, "recomputed", config_, tokens, dtype);
  for (size_t layer = 0; layer < params_.blocks.size(); ++layer) {
    stashes_.push_back(AllocateStash(arena_, StrCat("layer ", layer), config_, tokens, dtype, options.recompute,
                                     recomputes ? &shared : nullptr));
  }
  head_stash_ = AllocateHeadStash(arena_, config_, tokens, dtype);
  delta_ = arena_.Allocate("delta", {tokens, config_.hidden_size}, dtype);
  backward_ = AllocateBackwardScratch(arena_, config_, tokens, dtype);
  head_scratch_ = AllocateHeadScratch(arena_, config_, tokens, dtype);
  for (TensorView& grad : residual_grads_) grad = arena_.Allocate("residual gradient", {tokens, config_.hidden_size}, dtype);
  loss_sum_ = arena_.Allocate("loss sum", {1}, DType::kF32);
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
  for (const MicroBatchView& micro_batch : micro_batches) {
    WEFT_CHECK_EQ(micro_batch.tokens.dim(0), options_.tokens_per_micro_batch);
  }
  micro_batches_ = std::move(micro_batches);
  stream_->Zero(loss_sum_);
}

HeadWeights Decoder::head_weights() const {
  return {.norm = store_->Weight(params_.final_norm), .lm_head = store_->Weight(params_.lm_head)};
}

ConstTensorView Decoder::OutputOf(int group) { return IsBlock(group) ? StashOf(group).x2 : StashOf(1).x; }

void Decoder::Forward(int group, int micro_batch) {
  const MicroBatchView& batch = micro_batches_[static_cast<size_t>(micro_batch)];
  if (group == params_.embedding_group()) {
    EmbeddingForward(*stream_, {.tokens = batch.tokens, .table = store_->Weight(params_.embedding), .y = StashOf(1).x});
  } else if (IsBlock(group)) {
    ForwardBlock(group, batch);
  } else {
    HeadForward(*stream_, config_, head_weights(), OutputOf(group - 1), delta_, head_stash_);
    if (evaluating_) {
      HeadLoss(*stream_, head_weights(), head_stash_, {batch.targets, batch.weights, loss_sum_}, head_scratch_);
    }
  }
}

void Decoder::ForwardBlock(int group, const MicroBatchView& batch) {
  const bool first = group == 1;
  const BlockInput input = {.x = OutputOf(group - 1), .delta = first ? ConstTensorView() : delta_,
                            .positions = batch.positions};
  ForwardAttentionHalf(group, input, batch);
  MlpHalfForward(*stream_, config_, WeightsOf(*store_, BlockOf(group)), StashOf(group), delta_);
}

void Decoder::ForwardAttentionHalf(int group, const BlockInput& input, const MicroBatchView& batch) {
  const auto attend = [&](const QkvHeads& heads, const Heads& out, TensorView lse) {
    AttentionForward(*stream_, {.q = heads.q, .k = heads.k, .v = heads.v, .packing = batch.packing, .out = out,
                                .lse = lse, .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_dim)))});
  };
  AttentionHalfForward(*stream_, config_, WeightsOf(*store_, BlockOf(group)), rope_, input, attend, StashOf(group));
}

// Fills again what the stash did not keep.
void Decoder::RecomputeBlock(int group, const MicroBatchView& batch) {
  if (options_.recompute == Recompute::kNone) return;
  BlockStash& stash = StashOf(group);
  ForwardAttentionHalf(group, {.x = stash.x, .delta = {}, .positions = batch.positions}, batch);
  if (options_.recompute == Recompute::kBlock) {
    MlpHalfForward(*stream_, config_, WeightsOf(*store_, BlockOf(group)), stash, delta_, /*keep_output=*/false);
  }
}

ResidualGrads Decoder::GradsAround() const {
  return {.dout = residual_grads_[turn_], .dx2 = residual_grads_[(turn_ + 1) % 3], .dx = residual_grads_[(turn_ + 2) % 3]};
}

void Decoder::BackwardInput(int group, int micro_batch) {
  const MicroBatchView& batch = micro_batches_[static_cast<size_t>(micro_batch)];
  if (group == params_.head_group()) {
    turn_ = 0;
    HeadBackward(*stream_, head_weights(), head_stash_, {batch.targets, batch.weights, loss_sum_}, loss_scale_,
                 head_scratch_, {store_->Grad(params_.final_norm), store_->Grad(params_.lm_head)}, residual_grads_[0]);
  } else if (IsBlock(group)) {
    RecomputeBlock(group, batch);
    BlockBackwardInput(*stream_, config_, WeightsOf(*store_, BlockOf(group)), rope_, batch.positions, batch.packing,
                       StashOf(group), backward_, GradsAround(), GradsOf(*store_, BlockOf(group)));
  }  // the embedding has no input to differentiate
}

void Decoder::BackwardWeight(int group, int micro_batch) {
  const MicroBatchView& batch = micro_batches_[static_cast<size_t>(micro_batch)];
  if (IsBlock(group)) {
    BlockBackwardWeight(*stream_, StashOf(group), backward_, GradsAround(), GradsOf(*store_, BlockOf(group)));
    turn_ = (turn_ + 2) % 3;  // dx is the dout of the group below
  } else if (group == params_.embedding_group()) {
    EmbeddingBackward(*stream_, {.tokens = batch.tokens, .dy = residual_grads_[turn_], .dtable = store_->Grad(params_.embedding)});
  }  // the head's weight gradient comes with its input gradient, chunk by chunk
}

}  // namespace weft
