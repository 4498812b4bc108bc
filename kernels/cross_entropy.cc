// Checks and dispatch of cross-entropy (see cross_entropy.h).
#include "kernels/cross_entropy.h"

#include "kernels/argument_check.h"
#include "kernels/dispatch.h"

namespace weft {

void Check(const CrossEntropyStatsArgs& args) {
  CheckFloatArgument("logits", args.logits, 2);
  const Shape rows{args.logits.dim(0)};
  const Device device = args.logits.device();
  CheckArgument("targets", args.targets, DType::kI32, rows, device);
  CheckArgument("lse", args.lse, DType::kF32, rows, device);
  CheckArgument("target_logit", args.target_logit, DType::kF32, rows, device);
  WEFT_CHECK_GE(args.vocab_begin, 0);
}

void Check(const CrossEntropyCombineArgs& args) {
  WEFT_CHECK_EQ(args.parts.shape().num_dims(), 3);
  const Shape rows{args.parts.dim(2)};
  const Device device = args.parts.device();
  CheckArgument("parts", args.parts, DType::kF32, {args.parts.dim(0), 2, args.parts.dim(2)}, device);
  CheckArgument("lse", args.lse, DType::kF32, rows, device);
  CheckArgument("target_logit", args.target_logit, DType::kF32, rows, device);
}

void Check(const CrossEntropyLossArgs& args) {
  const Shape rows{args.lse.num_elements()};
  const Device device = args.lse.device();
  CheckArgument("lse", args.lse, DType::kF32, rows, device);
  CheckArgument("target_logit", args.target_logit, DType::kF32, rows, device);
  CheckArgument("weights", args.weights, DType::kF32, rows, device);
  CheckArgument("loss_sum", args.loss_sum, DType::kF32, {1}, device);
}

void Check(const CrossEntropyGradArgs& args) {
  CheckFloatArgument("logits", args.logits, 2);
  const Shape rows{args.logits.dim(0)};
  const Device device = args.logits.device();
  CheckArgument("targets", args.targets, DType::kI32, rows, device);
  CheckArgument("weights", args.weights, DType::kF32, rows, device);
  CheckArgument("lse", args.lse, DType::kF32, rows, device);
  WEFT_CHECK_GE(args.vocab_begin, 0);
}

void CrossEntropyStats(Stream& stream, const CrossEntropyStatsArgs& args) {
  Check(args);
  WEFT_CHECK(args.logits.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(CrossEntropyStats(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::CrossEntropyStats);
  }
}

void CrossEntropyCombine(Stream& stream, const CrossEntropyCombineArgs& args) {
  Check(args);
  WEFT_CHECK(args.parts.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(CrossEntropyCombine(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::CrossEntropyCombine);
  }
}

void CrossEntropyLoss(Stream& stream, const CrossEntropyLossArgs& args) {
  Check(args);
  WEFT_CHECK(args.lse.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(CrossEntropyLoss(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::CrossEntropyLoss);
  }
}

void CrossEntropyGrad(Stream& stream, const CrossEntropyGradArgs& args) {
  Check(args);
  WEFT_CHECK(args.logits.device() == stream.device());
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(CrossEntropyGrad(stream, args));
  } else {
    RunOnCpu(stream, args, cpu::CrossEntropyGrad);
  }
}

}  // namespace weft
