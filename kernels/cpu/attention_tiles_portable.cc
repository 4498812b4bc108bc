// The attention tiles with vectors of 4 floats (SSE2, NEON): 8 sums of products at a time in registers.
#include "kernels/cpu/attention_tiles_lanes.h"

namespace weft::cpu {

const AttentionTileKernels& AttentionTilesPortable() { return kAttentionTiles<4, 2, 4>; }

}  // namespace weft::cpu
