// Checks, constants and dispatch of AdamW (see adamw.h).
#include "kernels/adamw.h"

#include <cmath>

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const AdamWArgs& args) {
  const Shape shape{args.param.num_elements()};
  const Device device = args.param.device();
  CheckArgument("param", args.param, DType::kF32, shape, device);
  CheckArgument("grad", args.grad, DType::kF32, shape, device);
  CheckArgument("m", args.m, DType::kF32, shape, device);
  CheckArgument("v", args.v, DType::kF32, shape, device);
  if (!args.weight.empty()) CheckArgument("weight", args.weight, DType::kBF16, shape, device);
  CheckArgument("grad_scale", args.grad_scale, DType::kF32, {1}, device);
  WEFT_CHECK_GE(args.step, 1);
}

AdamWConstants ConstantsOf(const AdamWArgs& args) {
  const auto step = static_cast<double>(args.step);
  return {.decay = static_cast<float>(1 - args.lr * args.weight_decay),
          .one_minus_beta1 = static_cast<float>(1 - args.beta1),
          .beta2 = static_cast<float>(args.beta2),
          .one_minus_beta2 = static_cast<float>(1 - args.beta2),
          .step_size = static_cast<float>(args.lr / (1 - std::pow(args.beta1, step))),
          .sqrt_bias_correction2 = static_cast<float>(std::sqrt(1 - std::pow(args.beta2, step))),
          .eps = static_cast<float>(args.eps)};
}

void AdamW(Stream& stream, const AdamWArgs& args) {
  Check(args);
  WEFT_CHECK(args.param.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(AdamW(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::AdamW);
  }
}

}  // namespace weft
