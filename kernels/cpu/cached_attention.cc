// Cached attention on the CPU: a task is one kv head of one sequence, whose cache rows it reads once for scores and
// once for values. A sequence's result does not depend on the others in the batch.
#include "kernels/cached_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/dot_rows.h"

namespace weft::cpu {
namespace {

const DotRowsKernels& Kernels() { return PickIsa(DotRowsPortable, DotRowsAvx2, DotRowsAvx512); }

// out [m, n] = a [m, k] times b [n, k] transposed.
void DotRows(int64_t m, int64_t n, int64_t k, const float* a, const float* b, int64_t ldb, float* out) {
  Kernels().f32(m, n, k, a, k, b, ldb, out, n);
}
void DotRows(int64_t m, int64_t n, int64_t k, const bf16* a, const bf16* b, int64_t ldb, float* out) {
  Kernels().bf16(m, n, k, &a->bits, k, &b->bits, ldb, out, n);
}

// scores := softmax(scale * scores), in place.
void Softmax(float* scores, int64_t n, float scale) {
  const float highest = *std::max_element(scores, scores + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    scores[i] = std::exp((scores[i] - highest) * scale);
    sum += scores[i];
  }
  const float inverse = static_cast<float>(1 / sum);
  for (int64_t i = 0; i < n; ++i) scores[i] *= inverse;
}

template <typename T>
void AttendHead(const CachedAttentionArgs& a, int64_t sequence, int64_t kv_head, float* scratch) {
  const int64_t dim = a.q.head_dim, group = a.q.num_heads / a.num_kv_heads, row = a.num_kv_heads * dim;
  const int64_t slot = a.slots.data<int32_t>()[sequence], length = a.positions.data<int32_t>()[sequence] + 1;
  const int64_t cache_begin = slot * a.keys.dim(1) * row + kv_head * dim;
  const T* keys = a.keys.data<T>() + cache_begin;
  const T* values = a.values.data<T>() + cache_begin;
  const T* q = a.q.rows.data<T>() + sequence * a.q.rows.dim(1) + a.q.column + kv_head * group * dim;
  T* out = a.out.rows.data<T>() + sequence * a.out.rows.dim(1) + a.out.column + kv_head * group * dim;
  float* scores = scratch;                     // [group, length]
  float* sums = scratch + group * a.keys.dim(1);  // [dim]
  DotRows(group, length, dim, q, keys, row, scores);
  for (int64_t head = 0; head < group; ++head) {
    float* weights = scores + head * length;
    Softmax(weights, length, a.scale);
    std::fill_n(sums, dim, 0.0f);
    for (int64_t position = 0; position < length; ++position) {
      const T* value = values + position * row;
      for (int64_t i = 0; i < dim; ++i) sums[i] += weights[position] * static_cast<float>(value[i]);
    }
    for (int64_t i = 0; i < dim; ++i) out[head * dim + i] = static_cast<T>(sums[i]);
  }
}

int64_t ScratchFloatsOfTask(const CachedAttentionArgs& a) {
  return a.q.num_heads / a.num_kv_heads * a.keys.dim(1) + a.q.head_dim;
}

template <typename T>
void AppendRows(const CacheAppendArgs& a) {
  const int64_t row = a.k.num_heads * a.k.head_dim, capacity = a.keys.dim(1);
  const size_t bytes = static_cast<size_t>(row) * sizeof(T);
  for (int64_t t = 0; t < a.k.rows.dim(0); ++t) {
    const int64_t slot = a.slots.data<int32_t>()[t], position = a.positions.data<int32_t>()[t];
    WEFT_CHECK(slot >= 0 && slot < a.keys.dim(0) && position >= 0 && position < capacity) << slot << ", " << position;
    const int64_t to = (slot * capacity + position) * row;
    std::memcpy(a.keys.data<T>() + to, a.k.rows.data<T>() + t * a.k.rows.dim(1) + a.k.column, bytes);
    std::memcpy(a.values.data<T>() + to, a.v.rows.data<T>() + t * a.v.rows.dim(1) + a.v.column, bytes);
  }
}

}  // namespace

void CacheAppend(ThreadPool&, const CacheAppendArgs& args) {
  if (args.keys.dtype() == DType::kBF16) return AppendRows<bf16>(args);
  AppendRows<float>(args);
}

size_t CachedAttentionScratchBytes(const CachedAttentionArgs& args, int num_threads) {
  return static_cast<size_t>(num_threads * ScratchFloatsOfTask(args)) * sizeof(float);
}

void CachedAttention(ThreadPool& pool, const CachedAttentionArgs& args, TensorView scratch) {
  float* floats = reinterpret_cast<float*>(scratch.data<uint8_t>());
  const int64_t num_tasks = args.q.rows.dim(0) * args.num_kv_heads, num_parts = pool.num_threads();
  pool.ParallelTasks(num_parts, [&](int64_t part) {  // each part has scratch of its own
    float* mine = floats + part * ScratchFloatsOfTask(args);
    for (int64_t task = part; task < num_tasks; task += num_parts) {
      const int64_t token = task / args.num_kv_heads, kv_head = task % args.num_kv_heads;
      if (args.q.rows.dtype() == DType::kBF16) {
        AttendHead<bf16>(args, token, kv_head, mine);
      } else {
        AttendHead<float>(args, token, kv_head, mine);
      }
    }
  });
}

}  // namespace weft::cpu
