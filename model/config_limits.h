// The largest sizes that a config.json may ask for: beyond any model there is, and small enough that no product of them
// overflows. A file that says more is broken.
#pragma once

#include <cstdint>

namespace weft {

inline constexpr int64_t kMostVocabulary = 1 << 24, kMostWidth = 1 << 20, kMostFfn = 1 << 22, kMostLayers = 1 << 12;
inline constexpr int64_t kMostHeads = 1 << 12, kMostHeadDim = 1 << 12, kMostPositions = 1 << 28;

}  // namespace weft
