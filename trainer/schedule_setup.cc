// The sections `parallel` and `zero_optimization` as schedules take them (see schedule_setup.h).
#include "trainer/schedule_setup.h"

#include "trainer/model_setup.h"

namespace weft {

StatusOr<StageLayout> StageLayoutOf(const RunConfig& config, const ModelConfig& model) {
  const ParallelSection& parallel = config.parallel;
  return MakeStageLayout(model.num_hidden_layers, parallel.pp, parallel.interleave, parallel.blocks_per_stage,
                         model.tie_word_embeddings);
}

ShardPolicy ShardPolicyOf(const RunConfig& config, int data_parallel_ranks) {
  const ZeroSection& zero = config.zero_optimization;
  return {.zero_stage = data_parallel_ranks > 1 ? static_cast<int>(zero.stage) : 0,
          .reshard = zero.reshard,
          .prefetch = static_cast<int>(zero.prefetch)};
}

StatusOr<TrainingLayout> TrainingLayoutOf(const RunConfig& config, const ModelConfig& model, int data_parallel_ranks) {
  WEFT_ASSIGN_OR_RETURN(StageLayout stages, StageLayoutOf(config, model));
  return TrainingLayout{.stages = std::move(stages),
                        .schedule = config.parallel.schedule,
                        .policy = ShardPolicyOf(config, data_parallel_ranks),
                        .params = LayoutOptionsOf(config),
                        .recompute = config.recompute};
}

}  // namespace weft
