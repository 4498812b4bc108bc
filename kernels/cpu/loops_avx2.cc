// The inner loops compiled for AVX2 and FMA (see loops.h).
#include "kernels/cpu/vector_loops.h"

namespace weft::cpu {

const Loops& LoopsAvx2() { return kLoops; }

}  // namespace weft::cpu
