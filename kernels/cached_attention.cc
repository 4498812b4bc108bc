// Checks and dispatch of cached attention.
#include "kernels/cached_attention.h"

#include "kernels/dispatch.h"

namespace weft {
namespace {

void CheckCache(ConstTensorView keys, ConstTensorView values, int64_t row_elements, DType dtype) {
  WEFT_CHECK_EQ(keys.shape().num_dims(), 3);
  WEFT_CHECK_EQ(keys.dim(2), row_elements);
  WEFT_CHECK(keys.shape() == values.shape()) << keys.shape() << " and " << values.shape();
  WEFT_CHECK(keys.dtype() == dtype && values.dtype() == dtype);
}

void CheckIndices(ConstTensorView indices, int64_t count) {
  WEFT_CHECK(indices.dtype() == DType::kI32);
  WEFT_CHECK_EQ(indices.num_elements(), count);
}

}  // namespace

void Check(const CacheAppendArgs& a) {
  const int64_t num_tokens = a.k.rows.dim(0);
  CheckHeads(a.k, num_tokens);
  CheckHeads(a.v, num_tokens);
  WEFT_CHECK(a.k.num_heads == a.v.num_heads && a.k.head_dim == a.v.head_dim);
  WEFT_CHECK(a.k.rows.dtype() == a.v.rows.dtype());
  CheckCache(a.keys, a.values, a.k.num_heads * a.k.head_dim, a.k.rows.dtype());
  CheckIndices(a.slots, num_tokens);
  CheckIndices(a.positions, num_tokens);
}

void Check(const CachedAttentionArgs& a) {
  const int64_t batch = a.q.rows.dim(0);
  CheckHeads(a.q, batch);
  CheckHeads(a.out, batch);
  WEFT_CHECK(a.num_kv_heads > 0 && a.q.num_heads % a.num_kv_heads == 0);
  WEFT_CHECK(a.out.num_heads == a.q.num_heads && a.out.head_dim == a.q.head_dim);
  WEFT_CHECK(a.out.rows.dtype() == a.q.rows.dtype());
  CheckCache(a.keys, a.values, a.num_kv_heads * a.q.head_dim, a.q.rows.dtype());
  CheckIndices(a.slots, batch);
  CheckIndices(a.positions, batch);
}

void CacheAppend(Stream& stream, const CacheAppendArgs& args) {
  Check(args);
  WEFT_CHECK(!stream.device().is_cuda()) << "serving runs on the CPU";
  RunOnCpu(stream, args, cpu::CacheAppend);
}

void CachedAttention(Stream& stream, const CachedAttentionArgs& args) {
  Check(args);
  WEFT_CHECK(!stream.device().is_cuda()) << "serving runs on the CPU";
  RunOnCpu(stream, args, cpu::CachedAttentionScratchBytes(args, stream.pool().num_threads()), cpu::CachedAttention);
}

}  // namespace weft
