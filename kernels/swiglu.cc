// Checks and dispatch of SwiGLU (see swiglu.h).
#include "kernels/swiglu.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const SwigluForwardArgs& args) {
  CheckFloatArgument("y", args.y, 2);
  CheckArgument("gate_up", args.gate_up, args.y.dtype(), {args.y.dim(0), 2 * args.y.dim(1)}, args.y.device());
}

void Check(const SwigluBackwardArgs& args) {
  CheckFloatArgument("dy", args.dy, 2);
  const Shape gate_up{args.dy.dim(0), 2 * args.dy.dim(1)};
  CheckArgument("gate_up", args.gate_up, args.dy.dtype(), gate_up, args.dy.device());
  CheckArgument("dgate_up", args.dgate_up, args.dy.dtype(), gate_up, args.dy.device());
}

void SwigluForward(Stream& stream, const SwigluForwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.y.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(SwigluForward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::SwigluForward);
  }
}

void SwigluBackward(Stream& stream, const SwigluBackwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(SwigluBackward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::SwigluBackward);
  }
}

}  // namespace weft
