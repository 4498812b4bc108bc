// From the configuration of a run to what its schedule is made of.
#pragma once

#include "model/config.h"
#include "parallel/schedule.h"
#include "trainer/rank_training.h"
#include "trainer/run_config.h"

namespace weft {

// How the model is cut into pipeline stages. Errors name the key.
StatusOr<StageLayout> StageLayoutOf(const RunConfig& config, const ModelConfig& model);

// With one data-parallel rank there is nothing to share out, whatever the ZeRO stage.
ShardPolicy ShardPolicyOf(const RunConfig& config, int data_parallel_ranks);

// All of it: what a run's ranks share, and how.
StatusOr<TrainingLayout> TrainingLayoutOf(const RunConfig& config, const ModelConfig& model, int data_parallel_ranks);

}  // namespace weft
