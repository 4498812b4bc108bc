// SwiGLU on the CPU (see swiglu.h).
#include "kernels/swiglu.h"

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {

template <typename T>
void Forward(ThreadPool& pool, const SwigluForwardArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.y.dim(1);
  pool.ParallelFor(args.y.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T* gate = Elements<T>(args.gate_up) + t * 2 * n;
      loops.swiglu_forward(gate, gate + n, n, Elements<T>(args.y) + t * n);
    }
  });
}

template <typename T>
void Backward(ThreadPool& pool, const SwigluBackwardArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.dy.dim(1);
  pool.ParallelFor(args.dy.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T* gate = Elements<T>(args.gate_up) + t * 2 * n;
      T* dgate = Elements<T>(args.dgate_up) + t * 2 * n;
      loops.swiglu_backward(Elements<T>(args.dy) + t * n, gate, gate + n, n, dgate, dgate + n);
    }
  });
}

}  // namespace

void SwigluForward(ThreadPool& pool, const SwigluForwardArgs& args) {
  WithElementType(args.y.dtype(), [&](auto t) { Forward<decltype(t)>(pool, args); });
}

void SwigluBackward(ThreadPool& pool, const SwigluBackwardArgs& args) {
  WithElementType(args.dy.dtype(), [&](auto t) { Backward<decltype(t)>(pool, args); });
}

}  // namespace weft::cpu
