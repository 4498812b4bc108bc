// Rotary position embedding on the CPU (see rope.h).
#include "kernels/rope.h"

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {

template <typename T>
void Rotate(ThreadPool& pool, const RopeArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t half_dim = args.x.head_dim / 2;
  const int64_t row = args.x.rows.dim(1);
  const int64_t num_positions = args.cos.dim(0);
  const int32_t* positions = args.positions.data<int32_t>();
  const float sign = args.transpose ? -1.0f : 1.0f;
  pool.ParallelFor(args.x.rows.dim(0), RowGranule(args.x.num_heads * args.x.head_dim), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t position = positions[t];
      WEFT_CHECK(position >= 0 && position < num_positions) << "position " << position << " of " << num_positions;
      loops.rope(Elements<float>(args.cos) + position * half_dim, Elements<float>(args.sin) + position * half_dim, sign,
                 args.x.num_heads, half_dim, Elements<T>(args.x.rows) + t * row + args.x.column);
    }
  });
}

}  // namespace

void Rope(ThreadPool& pool, const RopeArgs& args) {
  WithElementType(args.x.rows.dtype(), [&](auto t) { Rotate<decltype(t)>(pool, args); });
}

}  // namespace weft::cpu
