// Gemm on the CPU: chooses how (a decoding step's few rows, bf16 or f32 by a library), and cuts c into a block a thread.
//
// Measured on Zen 4 at the shapes of a 125M model, GF/s on 2 threads, c cut into two blocks of rows: f32 oneDNN 200-220,
// OpenBLAS 180-195; bf16 oneDNN 380-430. The libraries' own threading is no faster.
#include "kernels/gemm.h"

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/dot_rows.h"
#include "kernels/cpu/gemm_block.h"

#ifndef WEFT_PLAIN_GEMM
#define WEFT_PLAIN_GEMM 0
#endif

namespace weft::cpu {
namespace {

constexpr int64_t kMaxDotRows = 8;     // up to so many rows of c, reading W once is all that counts
constexpr int64_t kDotColumns = 64;    // columns of c that DotRows makes at a time
constexpr int64_t kMinBlockRows = 64;  // with fewer rows a block spends its time repacking b: cut columns instead
constexpr int64_t kBlockColumns = 16;  // columns are cut at multiples: whole vectors, whole cache lines

void F32Gemm(const F32GemmBlock& block) {
  if (WEFT_PLAIN_GEMM) return PlainGemm(block);
  if (HasOnednn()) return OnednnGemm(block);
  OpenblasGemm(block);
}

// --- bf16 without bf16 instructions: tiles converted to f32 ---------------------------------------------------------

constexpr int64_t kTileRows = 256;
constexpr int64_t kTileColumns = 512;
constexpr int64_t kTileDepth = 512;

struct TileScratch {
  float a[kTileRows * kTileDepth];
  float b[kTileDepth * kTileColumns];
  float c[kTileRows * kTileColumns];
};

// Copies `rows` rows of `columns` elements, converting.
template <typename From, typename To>
void CopyTile(const From* from, int64_t from_stride, To* to, int64_t to_stride, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[i * to_stride + j] = static_cast<To>(float(from[i * from_stride + j]));
  }
}

// Rows and columns of an operand as memory holds them.
void CopyOperand(const bf16* from, int64_t stride, bool transposed, float* to, int64_t rows, int64_t columns) {
  if (transposed) std::swap(rows, columns);
  CopyTile(from, stride, to, columns, rows, columns);
}

template <typename Out>
void ConvertedTile(const GemmBlock<bf16, Out>& tile, TileScratch& scratch) {
  if (tile.accumulate) CopyTile(tile.c, tile.ldc, scratch.c, tile.n, tile.m, tile.n);
  for (int64_t p = 0; p < tile.k; p += kTileDepth) {
    const int64_t depth = std::min(kTileDepth, tile.k - p);
    CopyOperand(tile.a + (tile.transpose_a ? p * tile.lda : p), tile.lda, tile.transpose_a, scratch.a, tile.m, depth);
    CopyOperand(tile.b + (tile.transpose_b ? p : p * tile.ldb), tile.ldb, tile.transpose_b, scratch.b, depth, tile.n);
    F32Gemm({.m = tile.m, .n = tile.n, .k = depth,
             .a = scratch.a, .lda = tile.transpose_a ? tile.m : depth, .transpose_a = tile.transpose_a,
             .b = scratch.b, .ldb = tile.transpose_b ? depth : tile.n, .transpose_b = tile.transpose_b,
             .c = scratch.c, .ldc = tile.n, .accumulate = tile.accumulate || p > 0});
  }
  CopyTile(scratch.c, tile.n, tile.c, tile.ldc, tile.m, tile.n);
}

template <typename Out>
void ConvertedGemm(const GemmBlock<bf16, Out>& block, TileScratch& scratch) {
  for (int64_t j = 0; j < block.n; j += kTileColumns) {
    for (int64_t i = 0; i < block.m; i += kTileRows) {
      ConvertedTile(block.Part(i, std::min(i + kTileRows, block.m), j, std::min(j + kTileColumns, block.n)), scratch);
    }
  }
}

// --- Which way -------------------------------------------------------------------------------------------------------

bool HasFastBf16() { return !WEFT_PLAIN_GEMM && HasOnednn() && HostIsa() >= IsaLevel::kAvx512Bf16; }

bool IsDotRows(const GemmArgs& args) {
  return args.c.dim(0) <= kMaxDotRows && args.transpose_b && !args.transpose_a;
}

bool NeedsTileScratch(const GemmArgs& args) {
  return args.a.dtype() == DType::kBF16 && !IsDotRows(args) && !HasFastBf16();
}

template <typename In, typename Out>
void ComputeBlock(const GemmBlock<In, Out>& block, TileScratch* scratch) {
  if constexpr (std::is_same_v<In, float>) {
    F32Gemm(block);
  } else if (scratch == nullptr) {
    OnednnGemm(block);
  } else {
    ConvertedGemm(block, *scratch);
  }
}

// As many blocks as threads: blocks of rows while those stay high, then of columns as well.
template <typename In, typename Out>
void ComputeInBlocks(ThreadPool& pool, const GemmBlock<In, Out>& whole, TileScratch* scratch) {
  const int64_t threads = pool.num_threads();
  const int64_t row_parts = std::clamp<int64_t>(whole.m / kMinBlockRows, 1, threads);
  const int64_t vectors = (whole.n + kBlockColumns - 1) / kBlockColumns;
  const int64_t column_parts = std::min(threads / row_parts, vectors);
  pool.ParallelFor(row_parts * column_parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t row = part / column_parts, column = part % column_parts;
      const auto block = whole.Part(whole.m * row / row_parts, whole.m * (row + 1) / row_parts,
                                    vectors * column / column_parts * kBlockColumns,
                                    std::min(whole.n, vectors * (column + 1) / column_parts * kBlockColumns));
      ComputeBlock(block, scratch == nullptr ? nullptr : scratch + part);
    }
  });
}

// The f32 sums of DotRows to their place in c.
template <typename Out>
void StoreSums(const float* sums, bool accumulate, int64_t rows, int64_t columns, Out* c, int64_t ldc) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const float sum = sums[i * kDotColumns + j];
      c[i * ldc + j] = static_cast<Out>(accumulate ? float(c[i * ldc + j]) + sum : sum);
    }
  }
}

template <typename In, typename Out>
void ComputeDotRows(ThreadPool& pool, const GemmBlock<In, Out>& whole) {
  const DotRowsKernels& kernels = PickIsa(DotRowsPortable, DotRowsAvx2, DotRowsAvx512);
  pool.ParallelFor(whole.n, kBlockColumns, [&](int64_t begin, int64_t end) {
    float sums[kMaxDotRows * kDotColumns];
    for (int64_t j = begin; j < end; j += kDotColumns) {
      const int64_t n = std::min(kDotColumns, end - j);
      const In* b = whole.b + j * whole.ldb;
      if constexpr (std::is_same_v<In, float>) {
        kernels.f32(whole.m, n, whole.k, whole.a, whole.lda, b, whole.ldb, sums, kDotColumns);
      } else {
        kernels.bf16(whole.m, n, whole.k, &whole.a->bits, whole.lda, &b->bits, whole.ldb, sums, kDotColumns);
      }
      StoreSums(sums, whole.accumulate, whole.m, n, whole.c + j, whole.ldc);
    }
  });
}

template <typename In, typename Out>
void GemmOf(ThreadPool& pool, const GemmArgs& args, TileScratch* scratch) {
  const GemmBlock<In, Out> whole = {.m = args.c.dim(0), .n = args.c.dim(1), .k = args.a.dim(args.transpose_a ? 0 : 1),
                                    .a = args.a.data<In>(), .lda = args.a.dim(1), .transpose_a = args.transpose_a,
                                    .b = args.b.data<In>(), .ldb = args.b.dim(1), .transpose_b = args.transpose_b,
                                    .c = args.c.data<Out>(), .ldc = args.c.dim(1), .accumulate = args.accumulate};
  if (whole.m == 0 || whole.n == 0) return;
  if (whole.k == 0) {
    if (!whole.accumulate) std::fill(whole.c, whole.c + whole.m * whole.n, Out(0.0f));
  } else if (IsDotRows(args)) {
    ComputeDotRows(pool, whole);
  } else {
    ComputeInBlocks(pool, whole, scratch);
  }
}

}  // namespace

size_t GemmScratchBytes(const GemmArgs& args, int num_threads) {
  return NeedsTileScratch(args) ? static_cast<size_t>(num_threads) * sizeof(TileScratch) : 0;
}

void Gemm(ThreadPool& pool, const GemmArgs& args, TensorView scratch) {
  TileScratch* tiles = NeedsTileScratch(args) ? static_cast<TileScratch*>(scratch.raw()) : nullptr;
  if (args.a.dtype() == DType::kF32) {
    GemmOf<float, float>(pool, args, tiles);
  } else if (args.c.dtype() == DType::kF32) {
    GemmOf<bf16, float>(pool, args, tiles);
  } else {
    GemmOf<bf16, bf16>(pool, args, tiles);
  }
}

}  // namespace weft::cpu
