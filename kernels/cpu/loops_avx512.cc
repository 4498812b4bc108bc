// The inner loops compiled for AVX-512 (see loops.h).
#include "kernels/cpu/vector_loops.h"

namespace weft::cpu {

const Loops& LoopsAvx512() { return kLoops; }

}  // namespace weft::cpu
