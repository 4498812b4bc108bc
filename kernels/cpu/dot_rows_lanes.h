// The body of DotRows for vectors of kLanes floats, written once with GCC's vector types.
//
// Included by one file an instruction set; see lanes.h for why all of it stands in an unnamed namespace.
#pragma once

#include <cstdint>

#include "kernels/cpu/dot_rows.h"
#include "kernels/cpu/lanes.h"

namespace weft::cpu {
namespace {

// kRows rows of a with kColumns rows of b: each vector read is used kRows or kColumns times.
template <int kLanes, int kRows, int kColumns, typename T>
void DotTile(int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, float* out, int64_t ldo) {
  using Vec = FloatLanes<kLanes>;
  Vec sums[kRows][kColumns] = {};
  const auto add_products = [&](int64_t p, auto load) __attribute__((always_inline)) {
    Vec x[kRows];
    for (int i = 0; i < kRows; ++i) x[i] = load(a + i * lda + p);
    for (int j = 0; j < kColumns; ++j) {
      const Vec y = load(b + j * ldb + p);
      for (int i = 0; i < kRows; ++i) sums[i][j] += x[i] * y;
    }
  };
  int64_t p = 0;
  for (; p + kLanes <= k; p += kLanes) add_products(p, [](const T* from) { return LoadLanes<kLanes>(from); });
  if (p < k) add_products(p, [n = k - p](const T* from) { return LoadFirstLanes<kLanes>(from, n); });
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; ++j) out[i * ldo + j] = SumOfLanes<kLanes>(sums[i][j]);
  }
}

template <int kLanes, int kColumns, typename T>
void DotColumns(int64_t m, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, float* out, int64_t ldo) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) DotTile<kLanes, 4, kColumns>(k, a + i * lda, lda, b, ldb, out + i * ldo, ldo);
  if (m - i == 3) DotTile<kLanes, 3, kColumns>(k, a + i * lda, lda, b, ldb, out + i * ldo, ldo);
  if (m - i == 2) DotTile<kLanes, 2, kColumns>(k, a + i * lda, lda, b, ldb, out + i * ldo, ldo);
  if (m - i == 1) DotTile<kLanes, 1, kColumns>(k, a + i * lda, lda, b, ldb, out + i * ldo, ldo);
}

template <int kLanes, typename T>
void DotRows(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, float* out, int64_t ldo) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) DotColumns<kLanes, 4>(m, k, a, lda, b + j * ldb, ldb, out + j, ldo);
  for (; j < n; ++j) DotColumns<kLanes, 1>(m, k, a, lda, b + j * ldb, ldb, out + j, ldo);
}

template <int kLanes>
constexpr DotRowsKernels kDotRows = {DotRows<kLanes, float>, DotRows<kLanes, uint16_t>};

}  // namespace
}  // namespace weft::cpu
