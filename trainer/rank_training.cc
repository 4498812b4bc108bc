// What a rank is made of, and its step (see rank_training.h).
#include "trainer/rank_training.h"

#include "parallel/pipeline.h"
#include "parallel/plan_peaks.h"
#include "parallel/rank_record.h"

namespace weft {

RankPlans MakeRankPlans(const TrainingLayout& layout, const TrainingExtents& extents, int stage) {
  const auto rank = static_cast<size_t>(stage);
  return {MakeTrainingPlans(layout.stages, layout.schedule, extents.num_micro_batches, layout.policy)[rank],
          MakeEvaluationPlans(layout.stages, extents.num_evaluation_micro_batches, layout.policy)[rank]};
}

RankTraining::RankTraining(const ModelConfig& model, const TrainingLayout& layout, const TrainingExtents& extents,
                           const ProcessMesh& mesh, const TrainingStreams& streams, const OptimizerParams& optimizer,
                           double max_grad_norm)
    : mesh_(mesh),
      streams_(streams),
      stages_(layout.stages),
      plans_(MakeRankPlans(layout, extents, mesh.coord.of(Axis::kPp))),
      batch_(streams.compute.device()) {
  DecoderParams params = MakeDecoderParams(model);
  AssignStages(&params, stages_);
  params_ = std::make_unique<ParamStore>(params.specs, mesh.shape, mesh.coord, streams.compute.device(), layout.params);
  sync_ = std::make_unique<ParamSync>(params_.get(), mesh, stages_, std::vector<Plan>{plans_.training, plans_.evaluation},
                                      &streams.compute, &streams.comm);
  decoder_ = std::make_unique<Decoder>(
      model, params, params_.get(), &streams.compute,
      Decoder::Options{.tokens_per_micro_batch = extents.tokens_per_micro_batch,
                       .max_positions = extents.max_positions,
                       .recompute = layout.recompute,
                       .stages = stages_,
                       .stage = mesh.coord.of(Axis::kPp),
                       .peaks = Max(MeasurePeaks(plans_.training, stages_), MeasurePeaks(plans_.evaluation, stages_)),
                       .tensor_parallel = mesh.tp.get()});
  optimizer_ = std::make_unique<Optimizer>(params_.get(), optimizer, max_grad_norm, streams.offload);
}

RankTraining::~RankTraining() {  // work under way, another rank's receive among it, still uses this one's memory
  streams_.compute.Synchronize();
  streams_.comm.Synchronize();
  streams_.transfer.Synchronize();
}

int64_t RankTraining::CountedTokens(const std::vector<MicroBatch>& mine) const {
  int64_t tokens = 0;
  if (mesh_.coord.of(Axis::kPp) > 0 || mesh_.coord.of(Axis::kTp) > 0) return tokens;
  for (const MicroBatch& micro_batch : mine) tokens += micro_batch.num_unmasked;
  return tokens;
}

void RankTraining::ComputeGradients(std::vector<MicroBatch> mine, int64_t tokens) {
  params_->ZeroGrads(streams_.compute);
  decoder_->BeginTraining(batch_.Upload(streams_.compute, std::move(mine)), 1.0f / static_cast<float>(tokens));
  Run(plans_.training);
  CurrentRecord().Enter(Phase::kUpdating);
  optimizer_->MeasureGradients(streams_.compute, *mesh_.all);
  mesh_.all->AllReduce(streams_.compute, decoder_->loss_sum());
}

void RankTraining::Update(double lr, int64_t update) {
  optimizer_->Update(streams_.compute, lr, update);
  sync_->MarkUpdated();
}

void RankTraining::Evaluate(std::vector<MicroBatch> mine) {
  decoder_->BeginEvaluation(batch_.Upload(streams_.compute, std::move(mine)));
  Run(plans_.evaluation);
  mesh_.all->AllReduce(streams_.compute, decoder_->loss_sum());
}

void RankTraining::Run(const Plan& plan) {
  RunPlan(plan, stages_, *decoder_, *sync_, mesh_, {.compute = streams_.compute, .transfer = streams_.transfer});
}

double RankTraining::ReadLossSum() { return ReadScalar(decoder_->loss_sum()); }
double RankTraining::ReadGradNorm() { return ReadScalar(optimizer_->grad_norm()); }

double RankTraining::ReadScalar(ConstTensorView scalar) {
  float value = 0;
  streams_.compute.Copy(TensorView(&value, {1}, DType::kF32, Device::Cpu()), scalar);
  streams_.compute.Synchronize();
  return value;
}

}  // namespace weft
