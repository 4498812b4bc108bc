// The inner loops compiled for any CPU (see loops.h).
#include "kernels/cpu/loops_table.h"

namespace weft::cpu {

const Loops& LoopsPortable() { return kLoops; }

}  // namespace weft::cpu
