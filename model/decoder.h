// Decoder: the training side of a dense decoder, as the stage that a schedule drives. It owns the activations; weights
// and gradients are the ParamStore's.
#pragma once

#include <vector>

#include "core/arena.h"
#include "model/block.h"
#include "model/head.h"
#include "parallel/pipeline.h"

namespace weft {

// One micro-batch on the model's device: T packed tokens. Targets, weights as the loss sees them.
struct MicroBatchView {
  ConstTensorView tokens;     // [T] i32
  ConstTensorView targets;    // [T] i32
  ConstTensorView weights;    // [T] f32: the loss mask
  ConstTensorView positions;  // [T] i32, within the document
  Packing packing;
};

class Decoder : public Stage {
 public:
  struct Options {
    int64_t tokens_per_micro_batch = 0;  // T, the same for every micro-batch
    int64_t max_positions = 0;           // no position reaches it
    Recompute recompute = Recompute::kNone;
  };

  // `store` holds params.specs; both it and `stream` outlive the decoder. All memory is allocated here.
  Decoder(const ModelConfig& config, const DecoderParams& params, ParamStore* store, Stream* stream,
          const Options& options);

  // Sets the micro-batches that the next plan works on, whose memory must last until it has run, and zeroes the loss
  // sum. Training: gradients are of loss_scale times the sum of weighted token losses. Evaluation: the head's Forward
  // computes the loss, and there is no backward.
  void BeginTraining(std::vector<MicroBatchView> micro_batches, float loss_scale);
  void BeginEvaluation(std::vector<MicroBatchView> micro_batches);

  void Forward(int group, int micro_batch) override;
  void BackwardInput(int group, int micro_batch) override;
  void BackwardWeight(int group, int micro_batch) override;
  // One rank has no borders.
  Border ActivationToSend(int, int) override { return {}; }
  Border ActivationToReceive(int, int) override { return {}; }
  Border GradientToSend(int, int) override { return {}; }
  Border GradientToReceive(int, int) override { return {}; }
  void ActivationSent(int, int, const Event&) override {}
  void GradientSent(int, int, const Event&) override {}

  TensorView loss_sum() const { return loss_sum_; }             // [1] f32: sum of weighted token losses since Begin...
  ConstTensorView head_input() const { return head_stash_.y; }  // [T, D]: logits are head_input · lm_head^T
  const Arena& arena() const { return arena_; }

 private:
  void Begin(std::vector<MicroBatchView> micro_batches);
  bool IsBlock(int group) const { return group > params_.embedding_group() && group < params_.head_group(); }
  BlockStash& StashOf(int group) { return stashes_[static_cast<size_t>(group - 1)]; }
  const BlockParams& BlockOf(int group) const { return params_.blocks[static_cast<size_t>(group - 1)]; }
  HeadWeights head_weights() const;
  // The residual stream that leaves `group`.
  ConstTensorView OutputOf(int group);
  void ForwardBlock(int group, const MicroBatchView& micro_batch);
  void ForwardAttentionHalf(int group, const BlockInput& input, const MicroBatchView& micro_batch);
  void RecomputeBlock(int group, const MicroBatchView& micro_batch);
  ResidualGrads GradsAround() const;

  const ModelConfig config_;
  const DecoderParams params_;
  ParamStore* const store_;
  Stream* const stream_;
  const Options options_;

  Arena arena_;
  RopeTable rope_;
  std::vector<BlockStash> stashes_;  // by layer
  HeadStash head_stash_;
  TensorView delta_;                 // [T, D]: what the last sub-layer adds to the residual stream
  BlockBackwardScratch backward_;
  HeadScratch head_scratch_;
  TensorView residual_grads_[3];     // [T, D] each: dout, dx2 and dx take turns in them
  int turn_ = 0;                     // which of them holds the gradient that flows down
  TensorView loss_sum_;              // [1] f32

  std::vector<MicroBatchView> micro_batches_;
  float loss_scale_ = 0;
  bool evaluating_ = false;
};

}  // namespace weft
