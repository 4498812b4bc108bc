// Checks and dispatch of GELU (see gelu.h).
#include "kernels/gelu.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const GeluForwardArgs& args) {
  CheckFloatArgument("x", args.x, 2);
  CheckArgument("y", args.y, args.x.dtype(), args.x.shape(), args.x.device());
}

void Check(const GeluBackwardArgs& args) {
  CheckFloatArgument("dy", args.dy, 2);
  CheckArgument("x", args.x, args.dy.dtype(), args.dy.shape(), args.dy.device());
  CheckArgument("dx", args.dx, args.dy.dtype(), args.dy.shape(), args.dy.device());
}

void GeluForward(Stream& stream, const GeluForwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(GeluForward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::GeluForward);
  }
}

void GeluBackward(Stream& stream, const GeluBackwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(GeluBackward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::GeluBackward);
  }
}

}  // namespace weft
