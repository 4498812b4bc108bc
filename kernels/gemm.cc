// Gemm: what its contract asks, and the way to its implementation.
#include "kernels/gemm.h"

#include "kernels/dispatch.h"

namespace weft {

void Check(const GemmArgs& args) {
  WEFT_CHECK_EQ(args.a.shape().num_dims(), 2);
  WEFT_CHECK_EQ(args.b.shape().num_dims(), 2);
  const int64_t m = args.a.dim(args.transpose_a ? 1 : 0);
  const int64_t k = args.a.dim(args.transpose_a ? 0 : 1);
  const int64_t n = args.b.dim(args.transpose_b ? 0 : 1);
  WEFT_CHECK_EQ(args.b.dim(args.transpose_b ? 1 : 0), k) << "a " << args.a.shape() << ", b " << args.b.shape();
  WEFT_CHECK_EQ(args.c.shape(), (Shape{m, n}));
  const DType dtype = args.a.dtype();
  WEFT_CHECK(dtype == DType::kF32 || dtype == DType::kBF16) << DTypeName(dtype);
  WEFT_CHECK(args.b.dtype() == dtype) << DTypeName(args.b.dtype()) << " with " << DTypeName(dtype);
  WEFT_CHECK(args.c.dtype() == DType::kF32 || args.c.dtype() == dtype) << DTypeName(args.c.dtype());
  WEFT_CHECK(!args.accumulate || args.c.dtype() == DType::kF32) << "accumulates into " << DTypeName(args.c.dtype());
}

void Gemm(Stream& stream, const GemmArgs& args) {
  Check(args);
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(Gemm(stream, args));
    return;
  }
  RunOnCpu(stream, args, cpu::GemmScratchBytes(args, stream.pool().num_threads()), cpu::Gemm);
}

}  // namespace weft
