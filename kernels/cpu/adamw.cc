// AdamW on the CPU (see adamw.h).
#include "kernels/adamw.h"

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {

void AdamW(ThreadPool& pool, const AdamWArgs& args) {
  const AdamWConstants constants = ConstantsOf(args);
  const float grad_scale = *Elements<float>(args.grad_scale);
  uint16_t* weight = Elements<uint16_t>(args.weight);
  pool.ParallelFor(args.param.num_elements(), kGranule, [&](int64_t begin, int64_t end) {
    HostLoops().adamw(constants, grad_scale, end - begin, Elements<float>(args.grad) + begin,
                      Elements<float>(args.param) + begin, Elements<float>(args.m) + begin,
                      Elements<float>(args.v) + begin, weight == nullptr ? nullptr : weight + begin);
  });
}

}  // namespace weft::cpu
