// Checks and dispatch of the token embedding (see embedding.h).
#include "kernels/embedding.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const EmbeddingForwardArgs& args) {
  CheckFloatArgument("y", args.y, 2);
  CheckArgument("tokens", args.tokens, DType::kI32, {args.y.dim(0)}, args.y.device());
  WEFT_CHECK_EQ(args.table.shape().num_dims(), 2);
  CheckArgument("table", args.table, args.y.dtype(), {args.table.dim(0), args.y.dim(1)}, args.y.device());
  WEFT_CHECK_GE(args.vocab_begin, 0);
}

void Check(const EmbeddingBackwardArgs& args) {
  CheckFloatArgument("dy", args.dy, 2);
  CheckArgument("tokens", args.tokens, DType::kI32, {args.dy.dim(0)}, args.dy.device());
  WEFT_CHECK_EQ(args.dtable.shape().num_dims(), 2);
  CheckArgument("dtable", args.dtable, DType::kF32, {args.dtable.dim(0), args.dy.dim(1)}, args.dy.device());
  WEFT_CHECK_GE(args.vocab_begin, 0);
}

void EmbeddingForward(Stream& stream, const EmbeddingForwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.y.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(EmbeddingForward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::EmbeddingForward);
  }
}

void EmbeddingBackward(Stream& stream, const EmbeddingBackwardArgs& args) {
  Check(args);
  WEFT_CHECK(args.dy.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(EmbeddingBackward(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::EmbeddingBackward);
  }
}

}  // namespace weft
