// Checks and dispatch of RMSNorm (see rms_norm.h).
#include "kernels/rms_norm.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const RmsNormForwardArgs& args) {
  CheckFloatArgument("x", args.x, 2);
  const DType dtype = args.x.dtype();
  const Shape shape = args.x.shape();
  const Device device = args.x.device();
  CheckArgument("weight", args.weight, dtype, {shape[1]}, device);
  CheckArgument("y", args.y, dtype, shape, device);
  CheckArgument("rstd", args.rstd, DType::kF32, {shape[0]}, device);
  WEFT_CHECK_EQ(args.delta.empty(), args.sum.empty());
  if (!args.delta.empty()) {
    CheckArgument("delta", args.delta, dtype, shape, device);
    CheckArgument("sum", args.sum, dtype, shape, device);
  }
  const void* y = args.y.raw();
  WEFT_CHECK(y == nullptr || (y != args.x.raw() && y != args.delta.raw() && y != args.sum.raw())) << "y is an alias";
}

void Check(const RmsNormBackwardArgs& args) {
  CheckFloatArgument("dy", args.dy, 2);
  const DType dtype = args.dy.dtype();
  const Shape shape = args.dy.shape();
  const Device device = args.dy.device();
  if (!args.dsum.empty()) CheckArgument("dsum", args.dsum, dtype, shape, device);
  CheckArgument("x", args.x, dtype, shape, device);
  CheckArgument("weight", args.weight, dtype, {shape[1]}, device);
  CheckArgument("rstd", args.rstd, DType::kF32, {shape[0]}, device);
  CheckArgument("dx", args.dx, dtype, shape, device);
  if (!args.dweight.empty()) CheckArgument("dweight", args.dweight, DType::kF32, {shape[1]}, device);
}

void RmsNormForward(Stream& stream, const RmsNormForwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(RmsNormForward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::RmsNormForward);
  }
}

void RmsNormBackward(Stream& stream, const RmsNormBackwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(RmsNormBackward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::RmsNormBackwardScratchBytes(args), cpu::RmsNormBackward);
  }
}

}  // namespace weft
