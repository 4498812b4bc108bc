// What is kept of each block between forward and backward; the rest is computed again (Chen et al., "Training Deep Nets
// with Sublinear Memory Cost", 2016).
#pragma once

#include <cstdint>

namespace weft {

enum class Recompute : uint8_t {
  kNone,       // keep everything
  kAttention,  // keep the MLP half; the attention half up to its output is computed again
  kBlock,      // keep each block's input alone
};

}  // namespace weft
