// Attention: what its contract asks, and the way to its implementation.
#include "kernels/attention.h"

#include "kernels/dispatch.h"

namespace weft {
namespace {

// q, k and v agree with each other; `out` has q's heads of v's size.
void CheckInputs(const ConstHeads& q, const ConstHeads& k, const ConstHeads& v, const ConstHeads& out,
                 const ConstTensorView& lse, const Packing& packing) {
  const int64_t num_tokens = q.rows.dim(0);
  for (const ConstHeads* heads : {&q, &k, &v, &out}) {
    CheckHeads(*heads, num_tokens);
    WEFT_CHECK(heads->rows.dtype() == q.rows.dtype()) << DTypeName(heads->rows.dtype());
  }
  WEFT_CHECK(q.rows.dtype() == DType::kF32 || q.rows.dtype() == DType::kBF16) << DTypeName(q.rows.dtype());
  WEFT_CHECK_GT(k.num_heads, 0);
  WEFT_CHECK_EQ(q.num_heads % k.num_heads, 0) << q.num_heads << " query heads, " << k.num_heads << " kv heads";
  WEFT_CHECK_EQ(v.num_heads, k.num_heads);
  WEFT_CHECK_EQ(out.num_heads, q.num_heads);
  WEFT_CHECK_EQ(k.head_dim, q.head_dim);
  WEFT_CHECK_EQ(out.head_dim, v.head_dim);
  WEFT_CHECK_EQ(lse.shape(), (Shape{q.num_heads, num_tokens}));
  WEFT_CHECK(lse.dtype() == DType::kF32) << DTypeName(lse.dtype());
  WEFT_CHECK_EQ(packing.cu_seqlens.shape().num_dims(), 1);
  WEFT_CHECK_GE(packing.cu_seqlens.dim(0), 1);
  WEFT_CHECK(packing.cu_seqlens.dtype() == DType::kI32) << DTypeName(packing.cu_seqlens.dtype());
  WEFT_CHECK_LE(packing.max_seqlen, num_tokens);
}

void CheckSameHeads(const ConstHeads& gradient, const ConstHeads& of) {
  CheckHeads(gradient, of.rows.dim(0));
  WEFT_CHECK_EQ(gradient.num_heads, of.num_heads);
  WEFT_CHECK_EQ(gradient.head_dim, of.head_dim);
  WEFT_CHECK(gradient.rows.dtype() == of.rows.dtype()) << DTypeName(gradient.rows.dtype());
}

}  // namespace

void Check(const AttentionForwardArgs& args) {
  CheckInputs(args.q, args.k, args.v, args.out, args.lse, args.packing);
}

void Check(const AttentionBackwardArgs& args) {
  CheckInputs(args.q, args.k, args.v, args.out, args.lse, args.packing);
  CheckSameHeads(args.dout, args.out);
  CheckSameHeads(args.dq, args.q);
  CheckSameHeads(args.dk, args.k);
  CheckSameHeads(args.dv, args.v);
}

void AttentionForward(Stream& stream, const AttentionForwardArgs& args) {
  Check(args);
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(AttentionForward(stream, args));
    return;
  }
  RunOnCpu(stream, args, cpu::AttentionForwardScratchBytes(args, stream.pool().num_threads()), cpu::AttentionForward);
}

void AttentionBackward(Stream& stream, const AttentionBackwardArgs& args) {
  Check(args);
  if (stream.device().is_cuda()) {
    WEFT_ON_CUDA(AttentionBackward(stream, args));
    return;
  }
  RunOnCpu(stream, args, cpu::AttentionBackwardScratchBytes(args, stream.pool().num_threads()), cpu::AttentionBackward);
}

}  // namespace weft
