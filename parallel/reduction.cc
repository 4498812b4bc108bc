// Adds the shares block by block, so that each inner loop runs over memory in order (see reduction.h).
#include "parallel/reduction.h"

#include <algorithm>
#include <array>

#include "core/check.h"

namespace weft {
namespace {

template <typename T, typename Sum>
void Reduce(const std::vector<const std::byte*>& shares, ReduceOp op, int64_t n, T* out) {
  constexpr int64_t kBlock = 2048;  // sums stay in the first-level cache
  std::array<Sum, kBlock> sums;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    for (size_t rank = 0; rank < shares.size(); ++rank) {
      const T* share = reinterpret_cast<const T*>(shares[rank]) + begin;
      if (rank == 0) {
        for (int64_t i = 0; i < count; ++i) sums[i] = static_cast<Sum>(share[i]);
      } else if (op == ReduceOp::kSum) {
        for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<Sum>(share[i]);
      } else {
        for (int64_t i = 0; i < count; ++i) sums[i] = std::max(sums[i], static_cast<Sum>(share[i]));
      }
    }
    for (int64_t i = 0; i < count; ++i) out[begin + i] = static_cast<T>(sums[i]);
  }
}

}  // namespace

void ReduceInRankOrder(const std::vector<const std::byte*>& shares, ReduceOp op, DType dtype, int64_t n, std::byte* out) {
  if (dtype == DType::kF32) return Reduce<float, float>(shares, op, n, reinterpret_cast<float*>(out));
  if (dtype == DType::kI64) return Reduce<int64_t, int64_t>(shares, op, n, reinterpret_cast<int64_t*>(out));
  if (dtype == DType::kBF16) return Reduce<bf16, float>(shares, op, n, reinterpret_cast<bf16*>(out));
  WEFT_CHECK(false) << "reductions take f32, bf16 or i64, not " << DTypeName(dtype);
}

}  // namespace weft
