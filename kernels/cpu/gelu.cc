// GELU on the CPU (see gelu.h): element by element, so the work is cut without regard to rows.
#include "kernels/gelu.h"

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {

void GeluForward(ThreadPool& pool, const GeluForwardArgs& args) {
  WithElementType(args.x.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto& loops = HostFloatLoops<T>();
    pool.ParallelFor(args.x.num_elements(), kGranule, [&](int64_t begin, int64_t end) {
      loops.gelu_forward(Elements<T>(args.x) + begin, end - begin, Elements<T>(args.y) + begin);
    });
  });
}

void GeluBackward(ThreadPool& pool, const GeluBackwardArgs& args) {
  WithElementType(args.dy.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto& loops = HostFloatLoops<T>();
    pool.ParallelFor(args.dy.num_elements(), kGranule, [&](int64_t begin, int64_t end) {
      loops.gelu_backward(Elements<T>(args.dy) + begin, Elements<T>(args.x) + begin, end - begin,
                          Elements<T>(args.dx) + begin);
    });
  });
}

}  // namespace weft::cpu
