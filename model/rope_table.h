// The cosines and sines of rotary embedding, with the scalings that stretch a model's context: linear (position
// interpolation), llama3 (Llama 3.1's frequency bands) and YaRN (Peng et al., 2023), as in transformers' rope utilities.
// Computed in f64 on the host, kept in f32.
#pragma once

#include <vector>

#include "core/stream.h"
#include "model/config.h"

namespace weft {

// Angle per position of each of the head_dim / 2 pairs, and what cos and sin are multiplied by (1 but for YaRN).
struct RopeFrequencies {
  std::vector<double> inverse;
  double attention_factor = 1;
};
RopeFrequencies ComputeRopeFrequencies(const ModelConfig& config);

struct RopeTable {
  Tensor cos;  // [P, Q/2] f32
  Tensor sin;  // [P, Q/2] f32
};
// Positions [0, num_positions), on the stream's device. Empty where the model has no rotary positions.
RopeTable MakeRopeTable(Stream& stream, const ModelConfig& config, int64_t num_positions);

}  // namespace weft
