// Casts, sums and scalings of plain ranges (see loops.h).
#pragma once

#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

template <typename From, typename To>
void CastLoop(const From* x, int64_t n, To* y) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(y + i, Load(x + i, lanes), lanes); });
}

template <typename From, typename To>
void AddLoop(const From* x, int64_t n, To* y) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(y + i, Load(y + i, lanes) + Load(x + i, lanes), lanes); });
}

void ScaleLoop(float factor, int64_t n, float* y) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(y + i, Load(y + i, lanes) * factor, lanes); });
}

// Eight rows at a time, added in pairs: `sum` is read and written once for them.
template <typename T>
void AddRowsLoop(const T* x, int64_t num_rows, int64_t stride, int64_t n, float* sum) {
  int64_t row = 0;
  for (; row + 8 <= num_rows; row += 8) {
    const T* rows = x + row * stride;
    ForVectors(n, [=](int64_t i, auto lanes) {
      const auto pair = [=](int64_t k) { return Load(rows + k * stride + i, lanes) + Load(rows + (k + 1) * stride + i, lanes); };
      const Vec eight = (pair(0) + pair(2)) + (pair(4) + pair(6));
      Store(sum + i, Load(sum + i, lanes) + eight, lanes);
    });
  }
  for (; row < num_rows; ++row) AddLoop(x + row * stride, n, sum);
}

}  // namespace
}  // namespace weft::cpu
