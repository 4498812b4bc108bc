// Decoder: the training side of a dense decoder, as the stage that a schedule drives: one pipeline rank's groups, in its
// tensor-parallel share. It owns the activations; weights and gradients are the ParamStore's.
#pragma once

#include <vector>

#include "core/arena.h"
#include "model/decoder_memory.h"
#include "parallel/pipeline.h"

namespace weft {

// One micro-batch on the model's device: T packed tokens, the same on all ranks that share the model. Targets, weights as
// the loss sees them.
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
    StageLayout stages;                  // of the whole model
    int stage = 0;                       // this rank's index on the pp axis
    Peaks peaks;                         // of all plans that will run
    Communicator* tensor_parallel = nullptr;  // the ranks that share each layer (CheckTensorParallel); null: one
  };

  // `config` is the whole model's; `store` holds this rank's share of params.specs. It, `stream` and the communicator
  // outlive the decoder. All memory is allocated here.
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

  Border ActivationToSend(int group, int micro_batch) override;
  Border ActivationToReceive(int group, int micro_batch) override;
  Border GradientToSend(int group, int micro_batch) override;
  Border GradientToReceive(int group, int micro_batch) override;
  void ActivationSent(int group, int micro_batch, const Event& done) override;
  void GradientSent(int group, int micro_batch, const Event& done) override;

  // [1] f32: sum of weighted token losses since Begin...; 0 on all but one of the ranks that share the model (the head's,
  // and of those tp rank 0), so that the sum over all ranks counts every token once.
  TensorView loss_sum() const { return memory_.loss_sum; }
  // [T/tp, D] of the last micro-batch: logits are head_input · lm_head^T. On the head's rank.
  ConstTensorView head_input() const { return head_input_; }
  const Arena& arena() const { return arena_; }
  // Every pool sized by the plans' peaks has been in use as a whole, for tests of those peaks.
  bool peaks_were_reached() const {
    return memory_.stashes.all_were_held() && memory_.head_stashes.all_were_held() && memory_.works.all_were_held() &&
           memory_.residual_grads.all_were_held();
  }

 private:
  // What goes on from one group to the next of a virtual stage, whose forwards follow each other: x + delta.
  struct ResidualStream {
    ConstTensorView x;      // [T/tp, D]
    ConstTensorView delta;  // [T/tp, D], or empty
    int group = -1, micro_batch = -1;  // whose output it is; -1: nothing goes on
  };

  void Begin(std::vector<MicroBatchView> micro_batches);
  const MicroBatchView& BatchOf(int micro_batch) const { return micro_batches_[static_cast<size_t>(micro_batch)]; }
  const BlockParams& BlockOf(int group) const { return params_.blocks[static_cast<size_t>(group - 1)]; }
  // Which row of the whole the first one is, of a table (tokens, positions) that the tp ranks share by rows.
  int64_t RowBegin(ConstTensorView table) const { return tp_.rank() * table.dim(0); }
  HeadWeights head_weights() const;
  BlockContext context() { return {*stream_, config_, rope_, tp_}; }

  // A free buffer for the compute stream, which waits until it may be written.
  template <typename T>
  T& Take(SlotPool<T>& pool, int group, int micro_batch);
  // Returns a buffer after all that the compute stream has been given so far.
  template <typename T>
  void Return(SlotPool<T>& pool, int group, int micro_batch);

  // What flows into `group`: `x`, received, where it is the first of a virtual stage, else what the last Forward put out.
  ResidualStream InputOf(int group, int micro_batch, ConstTensorView x) const;
  void ForwardEmbedding(int micro_batch);
  void ForwardBlock(int group, int micro_batch);
  void ForwardHead(int micro_batch);
  void ForwardAttentionHalf(int group, int micro_batch, const BlockInput& input, const BlockStash& stash);
  void ReturnAfterEvaluation(int group, int micro_batch);
  void BackwardHead(int micro_batch);
  void BackwardBlockInput(int group, int micro_batch);
  void BackwardBlockWeight(int group, int micro_batch);
  void BackwardEmbedding(int micro_batch);
  // The stash of a block between BackwardInput and BackwardWeight.
  BlockStash WholeStash(int group, int micro_batch);

  const DecoderParams params_;
  ParamStore* const store_;
  Stream* const stream_;
  const Options options_;

  Arena arena_;
  const TensorParallel tp_;
  const ModelConfig config_;  // this rank's share
  RopeTable rope_;
  DecoderMemory memory_;

  std::vector<MicroBatchView> micro_batches_;
  float loss_scale_ = 0;
  bool evaluating_ = false;
  ResidualStream residual_;   // what the last Forward put out
  ConstTensorView head_input_;
};

}  // namespace weft
