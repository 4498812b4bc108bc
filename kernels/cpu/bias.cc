// Bias on the CPU (see bias.h). The gradient is cut by columns, so each is summed by one thread in the order of rows.
#include "kernels/bias.h"

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {

template <typename T>
void Add(ThreadPool& pool, const AddBiasArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.y.dim(1);
  const T* bias = Elements<T>(args.bias);
  T* y = Elements<T>(args.y);
  pool.ParallelFor(args.y.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      AddRow(loops, bias, n, y + t * n);
    }
  });
}

template <typename T>
void Grad(ThreadPool& pool, const BiasGradArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t num_tokens = args.dy.dim(0), n = args.dy.dim(1);
  const T* dy = Elements<T>(args.dy);
  float* dbias = Elements<float>(args.dbias);
  pool.ParallelFor(n, kColumnGranule, [&](int64_t begin, int64_t end) {
    loops.add_rows(dy + begin, num_tokens, n, end - begin, dbias + begin);
  });
}

}  // namespace

void AddBias(ThreadPool& pool, const AddBiasArgs& args) {
  WithElementType(args.y.dtype(), [&](auto t) { Add<decltype(t)>(pool, args); });
}

void BiasGrad(ThreadPool& pool, const BiasGradArgs& args) {
  WithElementType(args.dy.dtype(), [&](auto t) { Grad<decltype(t)>(pool, args); });
}

}  // namespace weft::cpu
