// AdamW on the CPU (see adamw.h). Constants are computed in f64, as PyTorch does.
#include "kernels/adamw.h"

#include <cmath>

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {

void AdamW(ThreadPool& pool, const AdamWArgs& args) {
  const double lr = args.lr, beta1 = args.beta1, beta2 = args.beta2;
  const double step = static_cast<double>(args.step);
  const AdamWConstants constants = {
      .grad_scale = *Elements<float>(args.grad_scale),
      .decay = static_cast<float>(1 - lr * static_cast<double>(args.weight_decay)),
      .one_minus_beta1 = static_cast<float>(1 - beta1),
      .beta2 = args.beta2,
      .one_minus_beta2 = static_cast<float>(1 - beta2),
      .step_size = static_cast<float>(lr / (1 - std::pow(beta1, step))),
      .sqrt_bias_correction2 = static_cast<float>(std::sqrt(1 - std::pow(beta2, step))),
      .eps = args.eps,
  };
  uint16_t* weight = Elements<uint16_t>(args.weight);
  pool.ParallelFor(args.param.num_elements(), kGranule, [&](int64_t begin, int64_t end) {
    HostLoops().adamw(constants, end - begin, Elements<float>(args.grad) + begin, Elements<float>(args.param) + begin,
                      Elements<float>(args.m) + begin, Elements<float>(args.v) + begin,
                      weight == nullptr ? nullptr : weight + begin);
  });
}

}  // namespace weft::cpu
