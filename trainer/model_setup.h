// From the `model` section of a run to the model that is built: a Hugging Face folder, or a shape written in place.
#pragma once

#include <string>

#include "core/device.h"
#include "core/status.h"
#include "data/token_store_hdf5.h"
#include "model/config.h"
#include "parallel/param_layout.h"
#include "trainer/rank_memory.h"
#include "trainer/run_config.h"

namespace weft {

// Reads model.path's config.json, or turns the section's shape into a config. Without the data's token ids.
StatusOr<ModelConfig> ReadModel(const RunConfig& config);

// The same for a run on `store`, whose tokenizer says which token ids begin and end a text. Where a model's own ids
// give way a line of the log says so; its list of ends is kept where it has the tokenizer's.
// Refuses data that was tokenised for another vocabulary, and sequences beyond max_position_embeddings.
StatusOr<ModelConfig> ResolveModel(const RunConfig& config, const TokenStore& store);

// The text of model.path's generation_config.json, which goes with the model into checkpoints and exports; empty where there
// is none.
StatusOr<std::string> ReadGenerationConfig(const RunConfig& config);

// What the run keeps of its parameters, and how.
ParamLayoutOptions LayoutOptionsOf(const RunConfig& config);

// Refuses what can never fit: what a rank allocates for parameters, and the inputs of `block_stashes` blocks ([T / tp, D]
// each), beyond all the memory that `device` has, or beyond its share of the host's, where they live there, of so many ranks.
// The rest of the activations comes on top, so a run that passes may still be too large.
Status CheckFitsMemory(const RunConfig& config, const ModelConfig& model, const RankMemory& memory, int64_t block_stashes,
                       Device device, int ranks_on_host);

}  // namespace weft
