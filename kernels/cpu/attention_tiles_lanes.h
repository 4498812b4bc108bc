// The body of the attention tiles for vectors of kLanes floats, written once with GCC's vector types.
//
// Included by one file an instruction set; see lanes.h for why all of it stands in an unnamed namespace.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/lanes.h"

namespace weft::cpu {
namespace {

// --- Products --------------------------------------------------------------------------------------------------------

// kRows rows and kVectors vectors of c stay in registers over the whole depth.
template <int kLanes, int kRows, int kVectors>
void MultiplyBlock(const TileProduct& t, const float* a, const float* b, float* c) {
  using Vec = FloatLanes<kLanes>;
  Vec sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      sums[i][j] = t.accumulate ? LoadLanes<kLanes>(c + i * t.c_row + j * kLanes) : Vec{};
    }
  }
  for (int64_t p = 0; p < t.k; ++p) {
    Vec y[kVectors];
    for (int j = 0; j < kVectors; ++j) y[j] = LoadLanes<kLanes>(b + p * t.b_row + j * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const float x = a[i * t.a_row + p * t.a_column];
      for (int j = 0; j < kVectors; ++j) sums[i][j] += x * y[j];
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) StoreLanes<kLanes>(c + i * t.c_row + j * kLanes, sums[i][j]);
  }
}

template <int kLanes, int kRows, int kVectors>
int64_t MultiplyRows(const TileProduct& t, int64_t i, int64_t column) {
  for (; i + kRows <= t.m; i += kRows) {
    MultiplyBlock<kLanes, kRows, kVectors>(t, t.a + i * t.a_row, t.b + column, t.c + i * t.c_row + column);
  }
  return i;
}

template <int kLanes, int kRows, int kVectors>
void MultiplyColumns(const TileProduct& t, int64_t column) {
  int64_t i = MultiplyRows<kLanes, kRows, kVectors>(t, 0, column);
  if constexpr (kRows > 2) i = MultiplyRows<kLanes, 2, kVectors>(t, i, column);
  MultiplyRows<kLanes, 1, kVectors>(t, i, column);
}

// kVectors vectors at a time while there are as many columns, then fewer.
template <int kLanes, int kRows, int kVectors>
void MultiplyFrom(const TileProduct& t, int64_t column) {
  for (; column + kVectors * kLanes <= t.n; column += kVectors * kLanes) {
    MultiplyColumns<kLanes, kRows, kVectors>(t, column);
  }
  constexpr int kPerPadding = kTilePadding / kLanes;
  if constexpr (kVectors > kPerPadding) MultiplyFrom<kLanes, kRows, kVectors - kPerPadding>(t, column);
}

template <int kLanes, int kRows, int kVectors>
void Multiply(const TileProduct& product) {
  MultiplyFrom<kLanes, kRows, kVectors>(product, 0);
}

// --- Softmax ---------------------------------------------------------------------------------------------------------

constexpr float kMinusInfinity = -__builtin_inff();

inline int64_t VisibleKeys(const TileMask& mask, int64_t row) {
  const int64_t visible = mask.first_visible + row;
  return visible < 0 ? 0 : visible > mask.n ? mask.n : visible;
}

template <int kLanes>
float MaxOfRow(const float* row, int64_t n) {
  using Vec = FloatLanes<kLanes>;
  Vec largest = LoadLanes<kLanes>(row);
  for (int64_t j = kLanes; j < n; j += kLanes) {
    const Vec x = LoadLanes<kLanes>(row + j);
    largest = x > largest ? x : largest;
  }
  return MaxOfLanes<kLanes>(largest);
}

// row becomes exp(row - max); their sum.
template <int kLanes>
float ExpOfRow(float* row, int64_t n, float max) {
  using Vec = FloatLanes<kLanes>;
  Vec sum = {};
  for (int64_t j = 0; j < n; j += kLanes) {
    const Vec p = ExpLanes<kLanes>(LoadLanes<kLanes>(row + j) - max);
    StoreLanes<kLanes>(row + j, p);
    sum += p;
  }
  return SumOfLanes<kLanes>(sum);
}

template <int kLanes>
void Softmax(const TileMask& mask, float* scores, float* row_max, float* row_sum, float* out, int64_t out_n) {
  for (int64_t i = 0; i < mask.m; ++i) {
    float* row = scores + i * mask.n;
    const int64_t visible = VisibleKeys(mask, i);
    for (int64_t j = visible; j < mask.n; ++j) row[j] = visible == 0 ? 0.0f : kMinusInfinity;
    if (visible == 0) continue;
    const float tile_max = MaxOfRow<kLanes>(row, mask.n);
    if (tile_max > row_max[i]) {
      const float shrink = ExpLanes<kLanes>(FloatLanes<kLanes>{} + (row_max[i] - tile_max))[0];
      row_max[i] = tile_max;
      row_sum[i] *= shrink;
      for (int64_t j = 0; j < out_n; j += kLanes) {
        StoreLanes<kLanes>(out + i * out_n + j, LoadLanes<kLanes>(out + i * out_n + j) * shrink);
      }
    }
    row_sum[i] += ExpOfRow<kLanes>(row, mask.n, row_max[i]);
  }
}

template <int kLanes>
void SoftmaxGradient(const TileMask& mask, float scale, const float* lse, const float* delta, float* scores, float* dp) {
  using Vec = FloatLanes<kLanes>;
  for (int64_t i = 0; i < mask.m; ++i) {
    float* row = scores + i * mask.n;
    float* gradient = dp + i * mask.n;
    for (int64_t j = VisibleKeys(mask, i); j < mask.n; ++j) row[j] = kMinusInfinity, gradient[j] = 0;
    for (int64_t j = 0; j < mask.n; j += kLanes) {
      const Vec p = ExpLanes<kLanes>(LoadLanes<kLanes>(row + j) * scale - lse[i]);
      StoreLanes<kLanes>(row + j, p);
      StoreLanes<kLanes>(gradient + j, p * (LoadLanes<kLanes>(gradient + j) - delta[i]) * scale);
    }
  }
}

template <int kLanes>
void RowDots(int64_t m, int64_t n, const float* a, const float* b, float* dots) {
  for (int64_t i = 0; i < m; ++i) {
    FloatLanes<kLanes> sum = {};
    for (int64_t j = i * n; j < (i + 1) * n; j += kLanes) sum += LoadLanes<kLanes>(a + j) * LoadLanes<kLanes>(b + j);
    dots[i] = SumOfLanes<kLanes>(sum);
  }
}

// --- Copies ----------------------------------------------------------------------------------------------------------

template <int kLanes, typename T>
void LoadTile(int64_t m, int64_t n, const T* from, int64_t from_row, float scale, float* tile) {
  const int64_t width = PaddedWidth(n);
  for (int64_t i = 0; i < m; ++i) {
    const T* row = from + i * from_row;
    float* to = tile + i * width;
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) StoreLanes<kLanes>(to + j, scale * LoadLanes<kLanes>(row + j));
    if (j < n) {
      StoreLanes<kLanes>(to + j, scale * LoadFirstLanes<kLanes>(row + j, n - j));
      j += kLanes;
    }
    for (; j < width; j += kLanes) StoreLanes<kLanes>(to + j, FloatLanes<kLanes>{});
  }
}

template <int kLanes, typename T>
void StoreTile(int64_t m, int64_t n, const float* tile, const float* scales, T* to, int64_t to_row) {
  const int64_t width = PaddedWidth(n);
  for (int64_t i = 0; i < m; ++i) {
    const float scale = scales == nullptr ? 1.0f : scales[i];
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) {
      StoreLanes<kLanes>(to + i * to_row + j, scale * LoadLanes<kLanes>(tile + i * width + j));
    }
    if (j < n) StoreFirstLanes<kLanes>(to + i * to_row + j, scale * LoadLanes<kLanes>(tile + i * width + j), n - j);
  }
}

// Swaps the kDistance x kDistance blocks beside the diagonal in rows i and i + kDistance.
template <int kDistance, typename Vec, int... kLane>
WEFT_LANES_INLINE void SwapBlocks(Vec& a, Vec& b, std::integer_sequence<int, kLane...>) {
  constexpr int kLanes = sizeof...(kLane);
  const Vec low = __builtin_shufflevector(a, b, ((kLane & kDistance) ? kLanes + kLane - kDistance : kLane)...);
  b = __builtin_shufflevector(a, b, ((kLane & kDistance) ? kLanes + kLane : kLane + kDistance)...);
  a = low;
}

template <int kLanes, int kDistance = kLanes / 2>
WEFT_LANES_INLINE void TransposeSquare(FloatLanes<kLanes> (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & kDistance) == 0) {
      SwapBlocks<kDistance>(rows[i], rows[i + kDistance], std::make_integer_sequence<int, kLanes>());
    }
  }
  if constexpr (kDistance > 1) TransposeSquare<kLanes, kDistance / 2>(rows);
}

template <int kLanes>
void Transpose(int64_t m, int64_t n, const float* tile, float* to) {
  const int64_t tile_row = PaddedWidth(n), to_row = PaddedWidth(m);
  for (int64_t j = 0; j < n; j += kLanes) {
    for (int64_t i = 0; i < m; i += kLanes) {
      FloatLanes<kLanes> rows[kLanes];
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) rows[r] = LoadLanes<kLanes>(tile + (i + r) * tile_row + j);
      TransposeSquare<kLanes>(rows);
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) {
        if (j + r < n) StoreLanes<kLanes>(to + (j + r) * to_row + i, rows[r]);
      }
    }
  }
}

template <int kLanes, int kRows, int kVectors>
constexpr AttentionTileKernels kAttentionTiles = {
    Multiply<kLanes, kRows, kVectors>, Softmax<kLanes>,           SoftmaxGradient<kLanes>,
    RowDots<kLanes>,                   LoadTile<kLanes, float>,   LoadTile<kLanes, uint16_t>,
    StoreTile<kLanes, float>,          StoreTile<kLanes, uint16_t>, Transpose<kLanes>};

}  // namespace
}  // namespace weft::cpu
