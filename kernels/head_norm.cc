// Checks and dispatch of the norm over heads (see head_norm.h).
#include "kernels/head_norm.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

namespace {

// `heads` are as many and as wide as `like`, of its dtype and tokens, and on its device.
void CheckSameHeads(std::string_view field, const ConstHeads& heads, const ConstHeads& like) {
  CheckFloatArgument(field, heads.rows, 2);
  CheckHeads(heads, like.rows.dim(0));
  WEFT_CHECK(heads.rows.dtype() == like.rows.dtype()) << field;
  WEFT_CHECK(heads.rows.device() == like.rows.device()) << field;
  WEFT_CHECK_EQ(heads.num_heads, like.num_heads) << field;
  WEFT_CHECK_EQ(heads.head_dim, like.head_dim) << field;
}

}  // namespace

void Check(const HeadNormForwardArgs& args) {
  const ConstHeads& x = args.x;
  CheckSameHeads("x", x, x);
  CheckSameHeads("y", args.y, x);
  CheckArgument("weight", args.weight, x.rows.dtype(), {x.head_dim}, x.rows.device());
  CheckArgument("rstd", args.rstd, DType::kF32, {x.rows.dim(0), x.num_heads}, x.rows.device());
}

void Check(const HeadNormBackwardArgs& args) {
  const ConstHeads& dy = args.dy;
  const Device device = dy.rows.device();
  CheckSameHeads("dy", dy, dy);
  CheckSameHeads("x", args.x, dy);
  CheckSameHeads("dx", args.dx, dy);
  CheckArgument("weight", args.weight, dy.rows.dtype(), {dy.head_dim}, device);
  CheckArgument("rstd", args.rstd, DType::kF32, {dy.rows.dim(0), dy.num_heads}, device);
  if (!args.dweight.empty()) CheckArgument("dweight", args.dweight, DType::kF32, {dy.head_dim}, device);
}

void HeadNormForward(Stream& stream, const HeadNormForwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.x.rows.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(HeadNormForward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::HeadNormForward);
  }
}

void HeadNormBackward(Stream& stream, const HeadNormBackwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.rows.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(HeadNormBackward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::HeadNormBackwardScratchBytes(args), cpu::HeadNormBackward);
  }
}

}  // namespace weft
