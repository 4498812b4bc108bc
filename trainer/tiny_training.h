// TinyTraining: a tiny model, trained step by step by the ranks of a mesh under a layout, by the same code as a run's. Model
// and data are functions of the layout alone, so two layouts that train on the same samples must compute the same.
#pragma once

#include <vector>

#include "data/batch.h"
#include "trainer/rank_training.h"

namespace weft {

// A model of the same family, as narrow as `tp` ranks can share.
ModelConfig TinyModel(const ModelConfig& model, int64_t num_blocks, int tp);

// What a step trains on: `num_micro_batches` on each of `num_replicas` replicas, whose sequences have an uneven loss mask.
// Tokens of a sequence are a multiple of what `tp` ranks can share.
struct TinySamples {
  int num_replicas = 1;
  int num_micro_batches = 1;
  int tp = 1;
  int64_t vocab_size = 0;

  int64_t sequence_length() const { return 8 * tp; }
  // Micro-batches of replicas [first, first + count) side by side, in step `step` (from 1).
  std::vector<MicroBatch> Of(int first, int count, int64_t step) const;
  int64_t tokens_per_micro_batch(int count) const { return count * kSequences * sequence_length(); }

 private:
  static constexpr int kSequences = 2;  // of a replica's micro-batch
};

class TinyTraining {
 public:
  // This rank's part of it. The ranks of `mesh` share the replicas of `samples` evenly. References outlive it.
  TinyTraining(const ModelConfig& model, const TrainingLayout& layout, const TinySamples& samples, const ProcessMesh& mesh,
               const TrainingStreams& streams);

  // Trains step `step` (from 1). Gradients stay in params() until the next one.
  void Step(int64_t step);

  double loss() const { return loss_; }            // of the last step: mean over unmasked tokens, on every rank
  double grad_norm() const { return grad_norm_; }  // before clipping
  const ParamStore& params() const { return training_.params(); }
  // `tensor` f32 on params().device() or the host, as it is after all work so far.
  std::vector<float> Read(ConstTensorView tensor) const;

 private:
  const TinySamples samples_;
  const ProcessMesh& mesh_;
  const TrainingStreams streams_;
  const int replicas_here_;  // side by side in this rank's micro-batches
  RankTraining training_;
  double loss_ = 0;
  double grad_norm_ = 0;
};

}  // namespace weft
