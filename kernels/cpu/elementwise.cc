// Casts and sums on the CPU (see elementwise.h).
#include "kernels/elementwise.h"

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {

// Calls loop(x, n, y) on parts of both tensors; loop_f32 and loop_bf16 are the loops for y's dtype.
template <typename T>
void ForParts(ThreadPool& pool, const ConstTensorView& x, const TensorView& y,
              void (*loop_f32)(const T*, int64_t, float*), void (*loop_bf16)(const T*, int64_t, uint16_t*)) {
  pool.ParallelFor(x.num_elements(), kGranule, [&](int64_t begin, int64_t end) {
    if (y.dtype() == DType::kF32) {
      loop_f32(Elements<T>(x) + begin, end - begin, Elements<float>(y) + begin);
    } else {
      loop_bf16(Elements<T>(x) + begin, end - begin, Elements<uint16_t>(y) + begin);
    }
  });
}

}  // namespace

void Cast(ThreadPool& pool, const CastArgs& args) {
  WithElementType(args.from.dtype(), [&](auto t) {
    const auto& loops = HostFloatLoops<decltype(t)>();
    ForParts(pool, args.from, args.to, loops.cast_to_f32, loops.cast_to_bf16);
  });
}

void Accumulate(ThreadPool& pool, const AccumulateArgs& args) {
  WithElementType(args.x.dtype(), [&](auto t) {
    const auto& loops = HostFloatLoops<decltype(t)>();
    ForParts(pool, args.x, args.y, loops.add_to_f32, loops.add_to_bf16);
  });
}

void Scale(ThreadPool& pool, const ScaleArgs& args) {
  pool.ParallelFor(args.y.num_elements(), kGranule, [&](int64_t begin, int64_t end) {
    HostLoops().scale(args.factor, end - begin, Elements<float>(args.y) + begin);
  });
}

}  // namespace weft::cpu
