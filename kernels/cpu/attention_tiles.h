// The arithmetic of attention on one tile of queries x keys, in f32: products, softmax, and the gradient of softmax.
//
// Tiles are small matrices in scratch. Their width is a multiple of kTilePadding floats, so no vector ends in the middle
// of a row: columns past the used ones may hold anything, NaN too, and are written.
#pragma once

#include <cstdint>

namespace weft::cpu {

constexpr int64_t kTilePadding = 16;

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
};

const AttentionTileKernels& AttentionTilesPortable();
const AttentionTileKernels& AttentionTilesAvx2();
const AttentionTileKernels& AttentionTilesAvx512();

}  // namespace weft::cpu
