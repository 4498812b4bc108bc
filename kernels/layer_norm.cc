// Checks and dispatch of LayerNorm (see layer_norm.h).
#include "kernels/layer_norm.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const LayerNormForwardArgs& args) {
  CheckFloatArgument("x", args.x, 2);
  const DType dtype = args.x.dtype();
  const Shape shape = args.x.shape();
  const Device device = args.x.device();
  CheckArgument("weight", args.weight, dtype, {shape[1]}, device);
  CheckArgument("bias", args.bias, dtype, {shape[1]}, device);
  CheckArgument("y", args.y, dtype, shape, device);
  CheckArgument("mean", args.mean, DType::kF32, {shape[0]}, device);
  CheckArgument("rstd", args.rstd, DType::kF32, {shape[0]}, device);
  WEFT_CHECK_EQ(args.delta.empty(), args.sum.empty());
  if (!args.delta.empty()) {
    CheckArgument("delta", args.delta, dtype, shape, device);
    CheckArgument("sum", args.sum, dtype, shape, device);
  }
  const void* y = args.y.raw();
  WEFT_CHECK(y == nullptr || (y != args.x.raw() && y != args.delta.raw() && y != args.sum.raw())) << "y is an alias";
}

void Check(const LayerNormBackwardArgs& args) {
  CheckFloatArgument("dy", args.dy, 2);
  const DType dtype = args.dy.dtype();
  const Shape shape = args.dy.shape();
  const Device device = args.dy.device();
  if (!args.dsum.empty()) CheckArgument("dsum", args.dsum, dtype, shape, device);
  CheckArgument("x", args.x, dtype, shape, device);
  CheckArgument("weight", args.weight, dtype, {shape[1]}, device);
  CheckArgument("mean", args.mean, DType::kF32, {shape[0]}, device);
  CheckArgument("rstd", args.rstd, DType::kF32, {shape[0]}, device);
  CheckArgument("dx", args.dx, dtype, shape, device);
  WEFT_CHECK_EQ(args.dweight.empty(), args.dbias.empty());
  if (!args.dweight.empty()) {
    CheckArgument("dweight", args.dweight, DType::kF32, {shape[1]}, device);
    CheckArgument("dbias", args.dbias, DType::kF32, {shape[1]}, device);
  }
}

void LayerNormForward(Stream& stream, const LayerNormForwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(LayerNormForward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::LayerNormForward);
  }
}

void LayerNormBackward(Stream& stream, const LayerNormBackwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(LayerNormBackward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::LayerNormBackwardScratchBytes(args), cpu::LayerNormBackward);
  }
}

}  // namespace weft
