// One row of RMSNorm and of its gradient (see rms_norm.h): two passes, the second out of the cache.
#pragma once

#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

template <typename T>
float RmsNormForwardLoop(const T* x, const T* delta, const T* weight, float eps, int64_t n, T* sum, T* y) {
  const float squares = SumVectors(n, [&](int64_t i, auto lanes) {
    Vec s = Load(x + i, lanes);
    if (delta != nullptr) {
      s = RoundTo(x, s + Load(delta + i, lanes));  // the norm is that of the stream as it is kept
      Store(sum + i, s, lanes);
    }
    return s * s;
  });
  const T* normalised = delta != nullptr ? sum : x;
  const float rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
  ForVectors(n, [&](int64_t i, auto lanes) {
    Store(y + i, Load(normalised + i, lanes) * rstd * Load(weight + i, lanes), lanes);
  });
  return rstd;
}

// With h = x * rstd and dh = dy * weight: dx = rstd * (dh - h * mean(dh * h)) + dsum.
template <typename T>
void RmsNormBackwardLoop(const T* dy, const T* dsum, const T* x, const T* weight, float rstd, int64_t n, T* dx,
                         float* dweight) {
  const float dot = SumVectors(n, [&](int64_t i, auto lanes) {
    const Vec dy_h = Load(dy + i, lanes) * (Load(x + i, lanes) * rstd);
    if (dweight != nullptr) Store(dweight + i, Load(dweight + i, lanes) + dy_h, lanes);
    return dy_h * Load(weight + i, lanes);
  });
  const float mean = dot / static_cast<float>(n);
  ForVectors(n, [&](int64_t i, auto lanes) {
    const Vec dh = Load(dy + i, lanes) * Load(weight + i, lanes);
    Vec result = (dh - Load(x + i, lanes) * rstd * mean) * rstd;
    if (dsum != nullptr) result += Load(dsum + i, lanes);
    Store(dx + i, result, lanes);
  });
}

}  // namespace
}  // namespace weft::cpu
