// The tensors of a training run in and out of files: masters and moments as a checkpoint, weights from a model folder.
#pragma once

#include <string>

#include "checkpoint/checkpoint.h"
#include "parallel/param_store.h"

namespace weft {

// Writes masters and both moments: each rank what it owns and votes for, so that every box is written once. Collective.
Status SaveTrainState(Stream& stream, const ParamStore& params, const std::string& run_folder,
                      const CheckpointInfo& info, Communicator& world);

// The reverse, and the weights refreshed.
Status LoadTrainState(Stream& stream, ParamStore& params, const std::string& checkpoint);

// Masters from a Hugging Face folder, moments zero, weights refreshed.
Status LoadWeights(Stream& stream, ParamStore& params, const std::string& model_folder);

}  // namespace weft
