// The rotation of one token's heads (see rope.h).
#pragma once

#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

template <typename T>
void RopeLoop(const float* cos, const float* sin, float sign, int64_t num_heads, int64_t half_dim, T* x) {
  for (int64_t head = 0; head < num_heads; ++head) {
    T* low = x + head * 2 * half_dim;
    T* high = low + half_dim;
    ForVectors(half_dim, [=](int64_t i, auto lanes) {
      const Vec c = Load(cos + i, lanes), s = Load(sin + i, lanes) * sign;
      const Vec a = Load(low + i, lanes), b = Load(high + i, lanes);
      Store(low + i, a * c - b * s, lanes);
      Store(high + i, b * c + a * s, lanes);
    });
  }
}

}  // namespace
}  // namespace weft::cpu
