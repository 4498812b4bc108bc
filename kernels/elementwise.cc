// Checks and dispatch of casts and sums (see elementwise.h).
#include "kernels/elementwise.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const CastArgs& args) {
  CheckFloatArgument("from", args.from, 1);
  CheckFloatArgument("to", args.to, 1);
  CheckArgument("to", args.to, args.to.dtype(), args.from.shape(), args.from.device());
}

void Check(const AccumulateArgs& args) {
  CheckFloatArgument("x", args.x, 1);
  CheckFloatArgument("y", args.y, 1);
  CheckArgument("y", args.y, args.y.dtype(), args.x.shape(), args.x.device());
}

void Check(const ScaleArgs& args) {
  CheckArgument("y", args.y, DType::kF32, {args.y.num_elements()}, args.y.device());
}

void Cast(Stream& stream, const CastArgs& args) {
  Check(args);
  WEFT_CHECK(args.from.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(Cast(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::Cast);
  }
}

void Accumulate(Stream& stream, const AccumulateArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(Accumulate(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::Accumulate);
  }
}

void Scale(Stream& stream, const ScaleArgs& args) {
  Check(args);
  WEFT_CHECK(args.y.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(Scale(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::Scale);
  }
}

}  // namespace weft
