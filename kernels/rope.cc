// Checks and dispatch of rotary position embedding (see rope.h).
#include "kernels/rope.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const RopeArgs& args) {
  CheckFloatArgument("x", args.x.rows, 2);
  const int64_t num_tokens = args.x.rows.dim(0);
  const Device device = args.x.rows.device();
  CheckHeads(args.x, num_tokens);
  WEFT_CHECK_EQ(args.x.head_dim % 2, 0);
  CheckArgument("positions", args.positions, DType::kI32, {num_tokens}, device);
  WEFT_CHECK_EQ(args.cos.shape().num_dims(), 2);
  const Shape table{args.cos.dim(0), args.x.head_dim / 2};
  CheckArgument("cos", args.cos, DType::kF32, table, device);
  CheckArgument("sin", args.sin, DType::kF32, table, device);
}

void Rope(Stream& stream, const RopeArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.rows.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(Rope(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::Rope);
  }
}

}  // namespace weft
