// DotRows with vectors of 4 floats (SSE2, NEON).
#include "kernels/cpu/dot_rows_lanes.h"

namespace weft::cpu {

const DotRowsKernels& DotRowsPortable() { return kDotRows<4>; }

}  // namespace weft::cpu
