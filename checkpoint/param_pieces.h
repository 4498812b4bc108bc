// The pieces of a parameter on this rank, by Hugging Face's names: what checkpoints, imports and exports read and write.
#pragma once

#include <string_view>
#include <vector>

#include "checkpoint/tensor_piece.h"
#include "parallel/param_spec.h"

namespace weft {

// Names are `prefix` + the foreign name; data look into `local` [local shape] f32, host memory, which holds `slabs` of
// the parameter (ParamStore::SlabsOf).
std::vector<TensorPiece> PiecesOf(const ParamSpec& spec, const std::vector<Slab>& slabs, TensorView local,
                                  std::string_view prefix = "");

}  // namespace weft
