// The attention tiles with vectors of 8 floats: 8 sums of products at a time in registers.
#include "kernels/cpu/attention_tiles_lanes.h"

namespace weft::cpu {

const AttentionTileKernels& AttentionTilesAvx2() { return kAttentionTiles<8, 4, 2>; }

}  // namespace weft::cpu
