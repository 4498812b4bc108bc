// Checks and dispatch of the gradient norm (see grad_norm.h).
#include "kernels/grad_norm.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const SumSquaresArgs& args) {
  CheckArgument("x", args.x, DType::kF32, {args.x.num_elements()}, args.x.device());
  CheckArgument("out", args.out, DType::kF32, {1}, args.x.device());
}

void Check(const ClipScaleArgs& args) {
  const Device device = args.sum_squares.device();
  CheckArgument("sum_squares", args.sum_squares, DType::kF32, {args.sum_squares.num_elements()}, device);
  CheckArgument("norm", args.norm, DType::kF32, {1}, device);
  CheckArgument("scale", args.scale, DType::kF32, {1}, device);
  WEFT_CHECK_GE(args.max_norm, 0);
}

void SumSquares(Stream& stream, const SumSquaresArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(SumSquares(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::SumSquaresScratchBytes(args), cpu::SumSquares);
  }
}

void ClipScale(Stream& stream, const ClipScaleArgs& args) {
  Check(args);
  WEFT_CHECK(args.sum_squares.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(ClipScale(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::ClipScale);
  }
}

}  // namespace weft
