// LayerNorm on the CPU (see layer_norm.h): a token's row stays with one thread.
#include "kernels/layer_norm.h"

#include "kernels/cpu/host_loops.h"
#include "kernels/cpu/weight_grad_sums.h"

namespace weft::cpu {
namespace {

// The row of a token in a tensor that may be absent.
template <typename T>
T* RowOrNull(T* rows, int64_t token, int64_t n) {
  return rows == nullptr ? nullptr : rows + token * n;
}

template <typename T>
void Forward(ThreadPool& pool, const LayerNormForwardArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.x.dim(1);
  const T *weight = Elements<T>(args.weight), *bias = Elements<T>(args.bias);
  float *mean = Elements<float>(args.mean), *rstd = Elements<float>(args.rstd);
  pool.ParallelFor(args.x.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const MeanRstd stats = loops.layer_norm_forward(
          Elements<T>(args.x) + t * n, RowOrNull(Elements<T>(args.delta), t, n), weight, bias, args.eps, n,
          RowOrNull(Elements<T>(args.sum), t, n), Elements<T>(args.y) + t * n);
      mean[t] = stats.mean;
      rstd[t] = stats.rstd;
    }
  });
}

template <typename T>
void Backward(ThreadPool& pool, const LayerNormBackwardArgs& args, TensorView scratch) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.x.dim(1);
  const T* weight = Elements<T>(args.weight);
  const float *mean = Elements<float>(args.mean), *rstd = Elements<float>(args.rstd);
  ForTokensWithSums(pool, args.x.dim(0), n, Elements<float>(scratch),
                    std::array{Elements<float>(args.dweight), Elements<float>(args.dbias)},
                    [&](int64_t t, const auto& sums) {
                      loops.layer_norm_backward(Elements<T>(args.dy) + t * n, RowOrNull(Elements<T>(args.dsum), t, n),
                                                Elements<T>(args.x) + t * n, weight, {mean[t], rstd[t]}, n,
                                                Elements<T>(args.dx) + t * n, sums[0], sums[1]);
                    });
}

}  // namespace

void LayerNormForward(ThreadPool& pool, const LayerNormForwardArgs& args) {
  WithElementType(args.x.dtype(), [&](auto t) { Forward<decltype(t)>(pool, args); });
}

size_t LayerNormBackwardScratchBytes(const LayerNormBackwardArgs& args) {
  return args.dweight.empty() ? 0 : WeightGradScratchBytes(args.x.dim(0), args.x.dim(1), /*num_grads=*/2);
}

void LayerNormBackward(ThreadPool& pool, const LayerNormBackwardArgs& args, TensorView scratch) {
  WithElementType(args.x.dtype(), [&](auto t) { Backward<decltype(t)>(pool, args, scratch); });
}

}  // namespace weft::cpu
