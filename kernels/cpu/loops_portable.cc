// The inner loops compiled for any CPU (see loops.h).
#include "kernels/cpu/vector_loops.h"

namespace weft::cpu {

const Loops& LoopsPortable() { return kLoops; }

}  // namespace weft::cpu
