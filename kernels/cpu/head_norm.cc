// RMSNorm over heads on the CPU (see head_norm.h): each head of each token is a row of RMSNorm.
#include "kernels/head_norm.h"

#include "kernels/cpu/host_loops.h"
#include "kernels/cpu/weight_grad_sums.h"

namespace weft::cpu {
namespace {

template <typename T>
const T* Head(const ConstHeads& heads, int64_t token, int64_t head) {
  return Elements<T>(heads.rows) + token * heads.rows.dim(1) + heads.column + head * heads.head_dim;
}
template <typename T>
T* Head(const Heads& heads, int64_t token, int64_t head) {
  return Elements<T>(heads.rows) + token * heads.rows.dim(1) + heads.column + head * heads.head_dim;
}

template <typename T>
void Forward(ThreadPool& pool, const HeadNormForwardArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t num_heads = args.x.num_heads, n = args.x.head_dim;
  const T* weight = Elements<T>(args.weight);
  float* rstd = Elements<float>(args.rstd);
  pool.ParallelFor(args.x.rows.dim(0), RowGranule(num_heads * n), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < num_heads; ++h) {
        rstd[t * num_heads + h] = loops.rms_norm_forward(Head<T>(args.x, t, h), nullptr, weight, args.eps, n, nullptr,
                                                         Head<T>(args.y, t, h));
      }
    }
  });
}

template <typename T>
void Backward(ThreadPool& pool, const HeadNormBackwardArgs& args, TensorView scratch) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t num_heads = args.x.num_heads, n = args.x.head_dim;
  const T* weight = Elements<T>(args.weight);
  const float* rstd = Elements<float>(args.rstd);
  ForTokensWithSums(pool, args.x.rows.dim(0), n, Elements<float>(scratch), std::array{Elements<float>(args.dweight)},
                    [&](int64_t t, const auto& sums) {
                      for (int64_t h = 0; h < num_heads; ++h) {
                        loops.rms_norm_backward(Head<T>(args.dy, t, h), nullptr, Head<T>(args.x, t, h), weight,
                                                rstd[t * num_heads + h], n, Head<T>(args.dx, t, h), sums[0]);
                      }
                    });
}

}  // namespace

void HeadNormForward(ThreadPool& pool, const HeadNormForwardArgs& args) {
  WithElementType(args.x.rows.dtype(), [&](auto t) { Forward<decltype(t)>(pool, args); });
}

size_t HeadNormBackwardScratchBytes(const HeadNormBackwardArgs& args) {
  return args.dweight.empty() ? 0 : WeightGradScratchBytes(args.x.rows.dim(0), args.x.head_dim);
}

void HeadNormBackward(ThreadPool& pool, const HeadNormBackwardArgs& args, TensorView scratch) {
  WithElementType(args.x.rows.dtype(), [&](auto t) { Backward<decltype(t)>(pool, args, scratch); });
}

}  // namespace weft::cpu
