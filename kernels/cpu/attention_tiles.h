// The arithmetic of attention on one tile of queries x keys, in f32: products, softmax, the gradient of softmax, and the
// copies between heads (f32 or bf16) and tiles.
//
// Tiles are small f32 matrices in scratch. Their width is a multiple of kTilePadding, so no vector ends in the middle of
// a row: columns past the used ones may hold anything, NaN too, and are written.
#pragma once

#include <cstdint>

namespace weft::cpu {

constexpr int64_t kTilePadding = 16;

// Static, so that no file compiled for AVX-512 lends its copy to others.
[[maybe_unused]] static constexpr int64_t PaddedWidth(int64_t columns) { return (columns + kTilePadding - 1) / kTilePadding * kTilePadding; }

// c [m, n] = a [m, k] · b [k, n], or c += with `accumulate`. n is a multiple of kTilePadding.
struct TileProduct {
  int64_t m, n, k;
  const float* a;              // a[i, p] at a[i * a_row + p * a_column]: either way round
  int64_t a_row, a_column;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
  bool accumulate;
};

// Scores of m queries and n keys: query i sees the first first_visible + i keys (all of them at most, none if < 1).
struct TileMask {
  int64_t m, n;
  int64_t first_visible;
};

struct AttentionTileKernels {
  void (*multiply)(const TileProduct& product);

  // One step of the online softmax. scores [m, n] (rows n apart) becomes exp(scores - max), 0 where masked, max being the
  // row's largest score so far; row_max and row_sum [m] and the output so far, out [m, out_n], follow.
  void (*softmax)(const TileMask& mask, float* scores, float* row_max, float* row_sum, float* out, int64_t out_n);

  // scores [m, n] becomes p = exp(scale * scores - lse), 0 where masked; dp [m, n] becomes the gradient of the unscaled
  // scores, scale * p * (dp - delta). lse, delta: [m].
  void (*softmax_gradient)(const TileMask& mask, float scale, const float* lse, const float* delta, float* scores,
                           float* dp);

  // dots[i] = sum_j a[i, j] * b[i, j]; a, b: [m, n].
  void (*row_dots)(int64_t m, int64_t n, const float* a, const float* b, float* dots);

  // tile [m, PaddedWidth(n)] = scale * from [m, n], rows from_row apart, f32 or bf16 bits; 0 in the padding.
  void (*load_f32)(int64_t m, int64_t n, const float* from, int64_t from_row, float scale, float* tile);
  void (*load_bf16)(int64_t m, int64_t n, const uint16_t* from, int64_t from_row, float scale, float* tile);

  // to [m, n] = tile [m, PaddedWidth(n)], row i times scales[i] (1 where scales is null).
  void (*store_f32)(int64_t m, int64_t n, const float* tile, const float* scales, float* to, int64_t to_row);
  void (*store_bf16)(int64_t m, int64_t n, const float* tile, const float* scales, uint16_t* to, int64_t to_row);

  // to [n, PaddedWidth(m)] = tile [m, PaddedWidth(n)] transposed. The tile has PaddedWidth(m) rows to read.
  void (*transpose)(int64_t m, int64_t n, const float* tile, float* to);
};

const AttentionTileKernels& AttentionTilesPortable();
const AttentionTileKernels& AttentionTilesAvx2();
const AttentionTileKernels& AttentionTilesAvx512();

}  // namespace weft::cpu
