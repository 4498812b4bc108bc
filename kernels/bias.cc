// Checks and dispatch of the bias ops (see bias.h).
#include "kernels/bias.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const AddBiasArgs& args) {
  CheckFloatArgument("y", args.y, 2);
  CheckArgument("bias", args.bias, args.y.dtype(), {args.y.dim(1)}, args.y.device());
}

void Check(const BiasGradArgs& args) {
  CheckFloatArgument("dy", args.dy, 2);
  CheckArgument("dbias", args.dbias, DType::kF32, {args.dy.dim(1)}, args.dy.device());
}

void AddBias(Stream& stream, const AddBiasArgs& args) {
  Check(args);
  WEFT_CHECK(args.y.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(AddBias(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::AddBias);
  }
}

void BiasGrad(Stream& stream, const BiasGradArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(BiasGrad(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::BiasGrad);
  }
}

}  // namespace weft
