// How many tokens the activations of a micro-batch have on this rank, and their type: what every allocation of them asks.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace weft {

struct ActivationSizes {
  int64_t num_tokens = 0;  // T, a multiple of tp
  DType dtype = DType::kF32;
  int tp = 1;              // ranks that share each layer
  int64_t local_tokens() const { return num_tokens / tp; }  // T/tp: where tokens are shared out
};

}  // namespace weft
