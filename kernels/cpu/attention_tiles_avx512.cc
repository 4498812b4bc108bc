// The attention tiles with vectors of 16 floats: 16 sums of products at a time in registers.
#include "kernels/cpu/attention_tiles_lanes.h"

namespace weft::cpu {

const AttentionTileKernels& AttentionTilesAvx512() { return kAttentionTiles<16, 4, 4>; }

}  // namespace weft::cpu
