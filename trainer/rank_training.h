// RankTraining: one rank's part of a model in training (parameters, activations, optimizer, laid out over a mesh) and what
// a step does with it. A run and the check of its layout (layout_check.h) are made of it, so the check runs the run's own code.
#pragma once

#include <memory>
#include <vector>

#include "data/batch.h"
#include "model/decoder.h"
#include "optim/optimizer.h"
#include "parallel/param_sync.h"
#include "parallel/process_mesh.h"
#include "trainer/device_batch.h"

namespace weft {

// How ranks share the work and the memory.
struct TrainingLayout {
  StageLayout stages;
  ScheduleType schedule = ScheduleType::k1F1B;
  ShardPolicy policy;
  ParamLayoutOptions params;
  Recompute recompute = Recompute::kNone;
};

// What goes through a rank's plans: micro-batches of a step, and of one evaluation plan, all of the same size.
struct TrainingExtents {
  int64_t tokens_per_micro_batch = 0;
  int64_t max_positions = 0;  // no position reaches it
  int num_micro_batches = 1;
  int num_evaluation_micro_batches = 1;
};

// Streams of a rank; on the CPU they may be one and the same. `offload` is for an offloaded optimizer's own.
struct TrainingStreams {
  Stream& compute;
  Stream& comm;      // gathers and reductions over the data-parallel ranks
  Stream& transfer;  // between pipeline stages
  StreamOptions offload;
};

// The plans of pp rank `stage`.
struct RankPlans {
  Plan training, evaluation;
};
RankPlans MakeRankPlans(const TrainingLayout& layout, const TrainingExtents& extents, int stage);

class RankTraining {
 public:
  // Allocates all memory; weights are zero. The mesh and the streams outlive it.
  RankTraining(const ModelConfig& model, const TrainingLayout& layout, const TrainingExtents& extents, const ProcessMesh& mesh,
               const TrainingStreams& streams, const OptimizerParams& optimizer, double max_grad_norm);
  ~RankTraining();

  ParamStore& params() { return *params_; }
  const ParamStore& params() const { return *params_; }
  // After masters or weights were set from outside: other ranks' shards are to be gathered again.
  void WeightsChanged() { sync_->MarkUpdated(); }

  // Ranks of one replica have the same micro-batches; of those the first counts them. Elsewhere 0.
  int64_t CountedTokens(const std::vector<MicroBatch>& mine) const;

  // A step is both of these. Forward and backward on this replica's micro-batches; the global batch has `tokens` tokens in
  // the loss. Leaves the reduced gradients in params(), until the next one.
  void ComputeGradients(std::vector<MicroBatch> mine, int64_t tokens);
  // Moves the weights along them. `update` counts from 1.
  void Update(double lr, int64_t update);
  // Forward alone.
  void Evaluate(std::vector<MicroBatch> mine);

  // Of the last gradients or evaluation; these wait for all that was issued.
  double ReadLossSum();   // over all tokens in the loss of all ranks
  double ReadGradNorm();  // before clipping

 private:
  void Run(const Plan& plan);
  double ReadScalar(ConstTensorView scalar);

  const ProcessMesh& mesh_;
  const TrainingStreams streams_;
  const StageLayout stages_;
  const RankPlans plans_;
  std::unique_ptr<ParamStore> params_;
  std::unique_ptr<ParamSync> sync_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<Optimizer> optimizer_;
  DeviceBatch batch_;
};

}  // namespace weft
