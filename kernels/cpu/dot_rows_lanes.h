// The body of DotRows for vectors of kLanes floats, written once with GCC's vector types.
//
// Included by one file an instruction set; see lanes.h for why all of it stands in an unnamed namespace.
#pragma once

#include <cstdint>

#include "kernels/cpu/dot_rows.h"
#include "kernels/cpu/lanes.h"

namespace weft::cpu {
namespace {

// 2 * kLanes elements of a row as two vectors: neighbours in f32; in bf16 those at even and those at odd places, which
// takes one shift and one mask. Both operands are split alike, so products meet.
template <int kLanes>
struct TwoVectors {
  FloatLanes<kLanes> first, second;
};

template <int kLanes>
WEFT_LANES_INLINE TwoVectors<kLanes> LoadTwo(const float* from) {
  return {LoadLanes<kLanes>(from), LoadLanes<kLanes>(from + kLanes)};
}

template <int kLanes>
WEFT_LANES_INLINE TwoVectors<kLanes> LoadTwo(const uint16_t* from) {
  using Vec = FloatLanes<kLanes>;
  typedef uint32_t PairsAt __attribute__((vector_size(kLanes * 4), aligned(2), may_alias));
  const typename LaneTypes<kLanes>::Bits pairs = *reinterpret_cast<const PairsAt*>(from);
  return {reinterpret_cast<Vec>(pairs << 16), reinterpret_cast<Vec>(pairs & 0xffff0000u)};
}

// kRows rows of a with kColumns rows of b: each vector read is used kRows or kColumns times. Meanwhile the kColumns rows
// of b that follow are on their way from memory: a row is too short for the hardware to notice the pattern.
template <int kLanes, int kRows, int kColumns, typename T>
void DotTile(int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, float* out, int64_t ldo) {
  constexpr int kStep = 2 * kLanes;
  constexpr int kCacheLine = 64 / sizeof(T);  // elements
  FloatLanes<kLanes> sums[kRows][kColumns] = {};
  const auto add_products = [&](int64_t p, auto load) __attribute__((always_inline)) {
    TwoVectors<kLanes> x[kRows];
    for (int i = 0; i < kRows; ++i) x[i] = load(a + i * lda + p);
    for (int j = 0; j < kColumns; ++j) {
      const TwoVectors<kLanes> y = load(b + j * ldb + p);
      for (int i = 0; i < kRows; ++i) sums[i][j] += x[i].first * y.first;
      for (int i = 0; i < kRows; ++i) sums[i][j] += x[i].second * y.second;
    }
  };
  int64_t p = 0;
  for (; p + kStep <= k; p += kStep) {
    for (int j = 0; j < kColumns; ++j) {
      for (int ahead = 0; ahead < kStep; ahead += kCacheLine) __builtin_prefetch(b + (kColumns + j) * ldb + p + ahead);
    }
    add_products(p, [](const T* from) { return LoadTwo<kLanes>(from); });
  }
  if (p < k) {
    add_products(p, [n = k - p](const T* from) {
      T padded[kStep] = {};
      for (int64_t i = 0; i < n; ++i) padded[i] = from[i];
      return LoadTwo<kLanes>(padded);
    });
  }
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
