// DotRows with vectors of 16 floats.
#include "kernels/cpu/dot_rows_lanes.h"

namespace weft::cpu {

const DotRowsKernels& DotRowsAvx512() { return kDotRows<16>; }

}  // namespace weft::cpu
