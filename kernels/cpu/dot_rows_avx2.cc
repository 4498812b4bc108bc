// DotRows with vectors of 8 floats.
#include "kernels/cpu/dot_rows_lanes.h"

namespace weft::cpu {

const DotRowsKernels& DotRowsAvx2() { return kDotRows<8>; }

}  // namespace weft::cpu
