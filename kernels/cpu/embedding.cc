// Token embedding on the CPU (see embedding.h). The gradient is cut by columns: each thread walks all tokens in order,
// so repeated tokens add in that order whatever the number of threads.
#include "kernels/embedding.h"

#include <cstring>

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {

namespace {

template <typename T>
void Forward(ThreadPool& pool, const EmbeddingForwardArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t num_rows = args.table.dim(0), n = args.table.dim(1);
  const int32_t* tokens = args.tokens.data<int32_t>();
  const T* table = Elements<T>(args.table);
  T* y = Elements<T>(args.y);
  pool.ParallelFor(args.tokens.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = tokens[t] - args.vocab_begin;
      const bool is_here = row >= 0 && row < num_rows;
      if (is_here && args.accumulate) {
        AddRow(loops, table + row * n, n, y + t * n);
      } else if (is_here) {
        std::memcpy(y + t * n, table + row * n, static_cast<size_t>(n) * sizeof(T));
      } else if (!args.accumulate) {
        std::memset(y + t * n, 0, static_cast<size_t>(n) * sizeof(T));
      }
    }
  });
}

template <typename T>
void Backward(ThreadPool& pool, const EmbeddingBackwardArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t num_tokens = args.tokens.dim(0), num_rows = args.dtable.dim(0), n = args.dtable.dim(1);
  const int32_t* tokens = args.tokens.data<int32_t>();
  const T* dy = Elements<T>(args.dy);
  float* dtable = Elements<float>(args.dtable);
  pool.ParallelFor(n, kColumnGranule, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < num_tokens; ++t) {
      const int64_t row = tokens[t] - args.vocab_begin;
      if (row < 0 || row >= num_rows) continue;
      loops.add_to_f32(dy + t * n + begin, end - begin, dtable + row * n + begin);
    }
  });
}

}  // namespace

void EmbeddingForward(ThreadPool& pool, const EmbeddingForwardArgs& args) {
  WithElementType(args.y.dtype(), [&](auto t) { Forward<decltype(t)>(pool, args); });
}

void EmbeddingBackward(ThreadPool& pool, const EmbeddingBackwardArgs& args) {
  WithElementType(args.dy.dtype(), [&](auto t) { Backward<decltype(t)>(pool, args); });
}

}  // namespace weft::cpu
