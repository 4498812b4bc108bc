// Cross-entropy on the CPU (see cross_entropy.h).
#include "kernels/cross_entropy.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {

template <typename T>
void Stats(ThreadPool& pool, const CrossEntropyStatsArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.logits.dim(1);
  const int32_t* targets = args.targets.data<int32_t>();
  float* lse = Elements<float>(args.lse);
  float* target_logit = Elements<float>(args.target_logit);
  pool.ParallelFor(args.logits.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* logits = Elements<T>(args.logits) + row * n;
      const SumExp stats = loops.sum_exp(logits, n);
      lse[row] = static_cast<float>(static_cast<double>(stats.max) + std::log(stats.sum));
      const int64_t target = targets[row] - args.vocab_begin;
      target_logit[row] = target >= 0 && target < n ? ToFloat(logits[target]) : 0.0f;
    }
  });
}

template <typename T>
void Grad(ThreadPool& pool, const CrossEntropyGradArgs& args) {
  const auto& loops = HostFloatLoops<T>();
  const int64_t n = args.logits.dim(1);
  const int32_t* targets = args.targets.data<int32_t>();
  const float* weights = Elements<float>(args.weights);
  const float* lse = Elements<float>(args.lse);
  pool.ParallelFor(args.logits.dim(0), RowGranule(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* logits = Elements<T>(args.logits) + row * n;
      if (weights[row] == 0) {
        std::memset(logits, 0, static_cast<size_t>(n) * sizeof(T));
        continue;
      }
      const float factor = args.scale * weights[row];
      const int64_t target = targets[row] - args.vocab_begin;
      const bool is_here = target >= 0 && target < n;
      // softmax - 1 without cancellation where the target is nearly certain.
      const float target_grad = is_here ? factor * std::expm1(ToFloat(logits[target]) - lse[row]) : 0.0f;
      loops.scaled_softmax(lse[row], factor, n, logits);
      if (is_here) logits[target] = FromFloat<T>(target_grad);
    }
  });
}

}  // namespace

void CrossEntropyStats(ThreadPool& pool, const CrossEntropyStatsArgs& args) {
  WithElementType(args.logits.dtype(), [&](auto t) { Stats<decltype(t)>(pool, args); });
}

void CrossEntropyCombine(ThreadPool&, const CrossEntropyCombineArgs& args) {
  const int64_t slices = args.parts.dim(0), rows = args.parts.dim(2);
  const float* parts = Elements<float>(args.parts);
  float* lse = Elements<float>(args.lse);
  float* target_logit = Elements<float>(args.target_logit);
  for (int64_t row = 0; row < rows; ++row) {
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    float target = 0;  // of all slices but one it is 0
    for (int64_t slice = 0; slice < slices; ++slice) {
      const double part = static_cast<double>(parts[2 * slice * rows + row]);
      if (std::isnan(part) || part > max) max = part;
      target += parts[(2 * slice + 1) * rows + row];
    }
    for (int64_t slice = 0; slice < slices; ++slice) {
      sum += std::exp(static_cast<double>(parts[2 * slice * rows + row]) - max);
    }
    lse[row] = static_cast<float>(std::isinf(max) ? max : max + std::log(sum));
    target_logit[row] = target;
  }
}

void CrossEntropyLoss(ThreadPool&, const CrossEntropyLossArgs& args) {
  const float* lse = Elements<float>(args.lse);
  const float* target_logit = Elements<float>(args.target_logit);
  const float* weights = Elements<float>(args.weights);
  float* loss_sum = Elements<float>(args.loss_sum);
  double sum = static_cast<double>(*loss_sum);
  for (int64_t row = 0; row < args.lse.num_elements(); ++row) {
    if (weights[row] == 0) continue;
    sum += static_cast<double>(weights[row]) * (static_cast<double>(lse[row]) - static_cast<double>(target_logit[row]));
  }
  *loss_sum = static_cast<float>(sum);
}

void CrossEntropyGrad(ThreadPool& pool, const CrossEntropyGradArgs& args) {
  WithElementType(args.logits.dtype(), [&](auto t) { Grad<decltype(t)>(pool, args); });
}

}  // namespace weft::cpu
