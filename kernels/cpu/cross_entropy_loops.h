// One row of logits: its log-sum-exp, and its softmax in place (see cross_entropy.h).
#pragma once

#include "kernels/cpu/loops.h"
#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

// The running max and sum of Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, a block at a
// time: the row is read from memory once, its second reading is out of the first cache. f32 within a block, f64 across.
template <typename T>
SumExp SumExpLoop(const T* x, int64_t n) {
  constexpr int64_t kBlock = 2048;
  const float lowest = -__builtin_inff();
  SumExp total = {lowest, 0};
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const T* block = x + begin;
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    Vec max = Broadcast(total.max);
    ForVectors(count, [&](int64_t i, auto lanes) { max = Max(WithRest(Load(block + i, lanes), lowest, lanes), max); });
    const float block_max = MaxOfLanes(max);
    // All -infinity so far, or NaN: e^x then adds 0 or NaN, where e^(x - max) would make NaN of both.
    const float base = block_max == lowest ? 0.0f : block_max;
    const float sum = SumVectors(
        count, [&](int64_t i, auto lanes) { return Exp(WithRest(Load(block + i, lanes), lowest, lanes) - base); });
    if (total.sum != 0) total.sum *= static_cast<double>(Exp(Broadcast(total.max - base))[0]);
    total.sum += static_cast<double>(sum);
    total.max = block_max;
  }
  return total;
}

template <typename T>
void ScaledSoftmaxLoop(float lse, float factor, int64_t n, T* x) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(x + i, Exp(Load(x + i, lanes) - lse) * factor, lanes); });
}

}  // namespace
}  // namespace weft::cpu
