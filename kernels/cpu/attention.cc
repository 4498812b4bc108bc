// Attention on the CPU: for each document and kv head, tiles of 64 queries x 64 keys, in f32 whatever the inputs.
//
// A task copies its keys and values to f32 panels once (keys transposed where products need it), then walks over blocks
// of queries of every head that shares them. Dao, "FlashAttention-2", 2023, algorithms 1 and 2; tiles above the diagonal
// are skipped, and those on it are cut into strips that leave most of the masked half out. A task's sums have a fixed
// order and no two tasks write the same element, so nothing depends on the number of threads.
#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/cpu_features.h"

namespace weft::cpu {
namespace {

constexpr int64_t kTile = 64;   // queries, and keys, of a tile
constexpr int64_t kStrip = 16;  // rows of a diagonal tile that are cut at the same column

const AttentionTileKernels& Kernels() {
  return PickIsa(AttentionTilesPortable, AttentionTilesAvx2, AttentionTilesAvx512);
}

// --- Heads to and from f32 tiles -------------------------------------------------------------------------------------

template <typename T, typename AnyHeads>
auto* HeadAt(const AnyHeads& heads, int64_t token, int64_t head) {
  return heads.rows.template data<T>() + token * heads.rows.dim(1) + heads.column + head * heads.head_dim;
}

// tile [n, PaddedWidth(head_dim)] = scale * tokens [token, token + n) of one head, 0 in the padding.
template <typename T>
void LoadTile(const ConstHeads& heads, int64_t head, int64_t token, int64_t n, float* tile, float scale = 1) {
  const T* from = HeadAt<T>(heads, token, head);
  if constexpr (std::is_same_v<T, float>) {
    Kernels().load_f32(n, heads.head_dim, from, heads.rows.dim(1), scale, tile);
  } else {
    Kernels().load_bf16(n, heads.head_dim, &from->bits, heads.rows.dim(1), scale, tile);
  }
}

// Tokens [token, token + n) of one head = tile, row t times scales[t] where given.
template <typename T>
void StoreTile(const float* tile, const float* scales, int64_t n, const Heads& heads, int64_t head, int64_t token) {
  T* to = HeadAt<T>(heads, token, head);
  if constexpr (std::is_same_v<T, float>) {
    Kernels().store_f32(n, heads.head_dim, tile, scales, to, heads.rows.dim(1));
  } else {
    Kernels().store_bf16(n, heads.head_dim, tile, scales, &to->bits, heads.rows.dim(1));
  }
}

// --- Tasks and their scratch -----------------------------------------------------------------------------------------

// Deals pieces of one allocation out, 64-byte aligned. With a null base it only adds up what would be needed.
class Pieces {
 public:
  explicit Pieces(float* base) : base_(base) {}
  float* Take(int64_t num_floats) {
    float* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += PaddedWidth(num_floats);
    return piece;
  }
  int64_t used() const { return used_; }

 private:
  float* base_;
  int64_t used_ = 0;
};

// Calls body(thread, task) for every task; each thread takes the next one when it is free.
template <typename Body>
void ForEachTask(ThreadPool& pool, int64_t num_tasks, const Body& body) {
  std::atomic<int64_t> next{0};
  pool.ParallelFor(pool.num_threads(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread) {
      for (int64_t task = next.fetch_add(1); task < num_tasks; task = next.fetch_add(1)) body(thread, task);
    }
  });
}

struct Document {
  int64_t begin = 0, length = 0;  // tokens
};

Document DocumentAt(const Packing& packing, int64_t d) {
  const int32_t* cu_seqlens = packing.cu_seqlens.data<int32_t>();
  return {cu_seqlens[d], cu_seqlens[d + 1] - cu_seqlens[d]};
}

void CheckDocuments(const Packing& packing, int64_t num_tokens) {
  const int64_t num_documents = packing.cu_seqlens.dim(0) - 1;
  int64_t token = 0;
  for (int64_t d = 0; d < num_documents; ++d) {
    const Document document = DocumentAt(packing, d);
    WEFT_CHECK_EQ(document.begin, token) << "document " << d;
    WEFT_CHECK(0 <= document.length && document.length <= packing.max_seqlen)
        << "document " << d << " has " << document.length << " tokens, max_seqlen is " << packing.max_seqlen;
    token += document.length;
  }
  WEFT_CHECK_EQ(token, num_tokens) << "tokens in documents";
}

// What forward and backward know of the shapes.
struct Sizes {
  int64_t group;      // query heads that share a kv head
  int64_t q_width;    // a row of a q or k tile
  int64_t v_width;    // a row of a v or out tile
  int64_t panel_keys;  // tokens of the longest document, padded

  template <typename Args>
  explicit Sizes(const Args& args)
      : group(args.q.num_heads / args.k.num_heads),
        q_width(PaddedWidth(args.q.head_dim)),
        v_width(PaddedWidth(args.v.head_dim)),
        panel_keys(PaddedWidth(args.packing.max_seqlen)) {}
};

// A tile's products are cut into strips of rows where its diagonal leaves columns out: calls body(row, rows, columns)
// for the strips of an m x n tile, rows [row, row + rows) seeing only the first `columns` of it.
template <typename Body>
void ForEachStrip(bool on_diagonal, int64_t m, int64_t n, const Body& body) {
  if (!on_diagonal) return body(0, m, n);
  for (int64_t row = 0; row < m; row += kStrip) {
    const int64_t rows = std::min(kStrip, m - row);
    body(row, rows, std::min(n, row + rows));
  }
}

// --- Forward ---------------------------------------------------------------------------------------------------------

struct ForwardScratch {
  float* keys;        // [tile of keys][Q, kTile]: transposed
  float* values;      // [keys, v_width]
  float* q;           // [kTile, q_width], times the scale
  float* scores;      // [kTile, kTile]
  float* out;         // [kTile, v_width]
  float* row_max;     // [kTile]
  float* row_sum;     // [kTile]

  ForwardScratch(const Sizes& sizes, int64_t head_dim, Pieces& pieces)
      : keys(pieces.Take(sizes.panel_keys * head_dim)),
        values(pieces.Take(sizes.panel_keys * sizes.v_width)),
        q(pieces.Take(kTile * sizes.q_width)),
        scores(pieces.Take(kTile * kTile)),
        out(pieces.Take(kTile * sizes.v_width)),
        row_max(pieces.Take(kTile)),
        row_sum(pieces.Take(kTile)) {}
};

int64_t ForwardScratchFloats(const AttentionForwardArgs& args) {
  Pieces pieces(nullptr);
  ForwardScratch(Sizes(args), args.q.head_dim, pieces);
  return pieces.used();
}

// Tiles of keys that the queries below `length` see, to f32.
template <typename T>
void LoadPanels(const AttentionForwardArgs& args, int64_t kv_head, int64_t begin, int64_t length,
                const ForwardScratch& scratch) {
  LoadTile<T>(args.v, kv_head, begin, length, scratch.values);
  for (int64_t j = 0; j < length; j += kTile) {
    const int64_t n = std::min(kTile, length - j);
    LoadTile<T>(args.k, kv_head, begin + j, n, scratch.q);  // not in use yet
    Kernels().transpose(n, args.k.head_dim, scratch.q, scratch.keys + j * args.k.head_dim);
  }
}

// One tile: scores of m queries from `row` of the document with n keys from `key`, and what they add to the output.
void ForwardTile(const AttentionForwardArgs& args, const Sizes& sizes, const ForwardScratch& s, int64_t row, int64_t m,
                 int64_t key, int64_t n) {
  const AttentionTileKernels& kernels = Kernels();
  const int64_t width = PaddedWidth(n);
  const bool on_diagonal = key == row;
  ForEachStrip(on_diagonal, m, n, [&](int64_t i, int64_t rows, int64_t columns) {
    kernels.multiply({.m = rows, .n = PaddedWidth(columns), .k = args.q.head_dim,
                      .a = s.q + i * sizes.q_width, .a_row = sizes.q_width, .a_column = 1,
                      .b = s.keys + key * args.k.head_dim, .b_row = width,
                      .c = s.scores + i * width, .c_row = width, .accumulate = false});
  });
  const TileMask mask = {.m = m, .n = width, .first_visible = on_diagonal ? 1 : n};
  kernels.softmax(mask, s.scores, s.row_max, s.row_sum, s.out, sizes.v_width);
  ForEachStrip(on_diagonal, m, n, [&](int64_t i, int64_t rows, int64_t columns) {
    kernels.multiply({.m = rows, .n = sizes.v_width, .k = columns,
                      .a = s.scores + i * width, .a_row = width, .a_column = 1,
                      .b = s.values + key * sizes.v_width, .b_row = sizes.v_width,
                      .c = s.out + i * sizes.v_width, .c_row = sizes.v_width, .accumulate = true});
  });
}

// Output and log-sum-exp of one block of queries of one head.
template <typename T>
void ForwardBlock(const AttentionForwardArgs& args, const Sizes& sizes, const ForwardScratch& s, const Document& document,
                  int64_t head, int64_t row) {
  const int64_t m = std::min(kTile, document.length - row);
  LoadTile<T>(args.q, head, document.begin + row, m, s.q, args.scale);
  std::fill(s.out, s.out + m * sizes.v_width, 0.0f);
  std::fill(s.row_sum, s.row_sum + m, 0.0f);
  std::fill(s.row_max, s.row_max + m, -std::numeric_limits<float>::infinity());
  for (int64_t key = 0; key <= row; key += kTile) {
    ForwardTile(args, sizes, s, row, m, key, std::min(kTile, document.length - key));
  }
  float* lse = args.lse.data<float>() + head * args.lse.dim(1) + document.begin + row;
  for (int64_t i = 0; i < m; ++i) {
    lse[i] = s.row_max[i] + std::log(s.row_sum[i]);
    s.row_sum[i] = 1 / s.row_sum[i];
  }
  StoreTile<T>(s.out, s.row_sum, m, args.out, head, document.begin + row);
}

// Blocks of queries are dealt to `num_slices` tasks a kv head and document, so that one long document with few heads
// still fills many threads; each slice pays for loading the panels.
int64_t NumSlices(const AttentionForwardArgs& args, int num_threads) {
  const int64_t blocks = args.packing.max_seqlen / kTile;
  const int64_t wanted = (4 * num_threads + args.k.num_heads - 1) / args.k.num_heads;
  return std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, blocks / 4));
}

template <typename T>
void Forward(ThreadPool& pool, const AttentionForwardArgs& args, float* scratch) {
  const Sizes sizes(args);
  const int64_t floats = ForwardScratchFloats(args);
  const int64_t num_slices = NumSlices(args, pool.num_threads());
  const int64_t num_documents = args.packing.cu_seqlens.dim(0) - 1;
  ForEachTask(pool, num_documents * args.k.num_heads * num_slices, [&](int64_t thread, int64_t task) {
    const int64_t slice = task % num_slices;
    const int64_t kv_head = task / num_slices % args.k.num_heads;
    const Document document = DocumentAt(args.packing, task / num_slices / args.k.num_heads);
    if (slice * kTile >= document.length) return;
    Pieces pieces(scratch + thread * floats);
    const ForwardScratch s(sizes, args.q.head_dim, pieces);
    LoadPanels<T>(args, kv_head, document.begin, document.length, s);
    for (int64_t row = slice * kTile; row < document.length; row += num_slices * kTile) {
      for (int64_t i = 0; i < sizes.group; ++i) {
        ForwardBlock<T>(args, sizes, s, document, kv_head * sizes.group + i, row);
      }
    }
  });
}

// --- Backward --------------------------------------------------------------------------------------------------------

struct BackwardScratch {
  float* keys_t;    // [tile of keys][Q, kTile]: transposed
  float* values_t;  // [tile of keys][Qv, kTile]: transposed
  float* keys;      // [keys, q_width]
  float* dk;        // [keys, q_width]
  float* dv;        // [keys, v_width]
  float* q;         // [kTile, q_width]
  float* dq;        // [kTile, q_width]
  float* out;       // [kTile, v_width]
  float* dout;      // [kTile, v_width]
  float* p;         // [kTile, kTile]: scores, then probabilities
  float* ds;        // [kTile, kTile]: gradient of p, then of the scores
  float* delta;     // [kTile]: out · dout, the gradient that normalising takes away from every score of a row

  BackwardScratch(const Sizes& sizes, int64_t q_dim, int64_t v_dim, Pieces& pieces)
      : keys_t(pieces.Take(sizes.panel_keys * q_dim)),
        values_t(pieces.Take(sizes.panel_keys * v_dim)),
        keys(pieces.Take(sizes.panel_keys * sizes.q_width)),
        dk(pieces.Take(sizes.panel_keys * sizes.q_width)),
        dv(pieces.Take(sizes.panel_keys * sizes.v_width)),
        q(pieces.Take(kTile * sizes.q_width)),
        dq(pieces.Take(kTile * sizes.q_width)),
        out(pieces.Take(kTile * sizes.v_width)),
        dout(pieces.Take(kTile * sizes.v_width)),
        p(pieces.Take(kTile * kTile)),
        ds(pieces.Take(kTile * kTile)),
        delta(pieces.Take(kTile)) {}
};

int64_t BackwardScratchFloats(const AttentionBackwardArgs& args) {
  Pieces pieces(nullptr);
  BackwardScratch(Sizes(args), args.q.head_dim, args.v.head_dim, pieces);
  return pieces.used();
}

template <typename T>
void LoadPanels(const AttentionBackwardArgs& args, const Sizes& sizes, int64_t kv_head, const Document& document,
                const BackwardScratch& s) {
  LoadTile<T>(args.k, kv_head, document.begin, document.length, s.keys);
  for (int64_t j = 0; j < document.length; j += kTile) {
    const int64_t n = std::min(kTile, document.length - j);
    Kernels().transpose(n, args.k.head_dim, s.keys + j * sizes.q_width, s.keys_t + j * args.k.head_dim);
    LoadTile<T>(args.v, kv_head, document.begin + j, n, s.out);  // not in use yet
    Kernels().transpose(n, args.v.head_dim, s.out, s.values_t + j * args.v.head_dim);
  }
  std::fill(s.dk, s.dk + document.length * sizes.q_width, 0.0f);
  std::fill(s.dv, s.dv + document.length * sizes.v_width, 0.0f);
}

// p and ds of one tile: s.p and s.ds, rows `width` apart.
void RecomputeTile(const AttentionBackwardArgs& args, const Sizes& sizes, const BackwardScratch& s, const float* lse,
                   int64_t m, int64_t key, int64_t n, bool on_diagonal) {
  const AttentionTileKernels& kernels = Kernels();
  const int64_t width = PaddedWidth(n);
  ForEachStrip(on_diagonal, m, n, [&](int64_t i, int64_t rows, int64_t columns) {
    TileProduct product = {.m = rows, .n = PaddedWidth(columns), .k = args.q.head_dim,
                           .a = s.q + i * sizes.q_width, .a_row = sizes.q_width, .a_column = 1,
                           .b = s.keys_t + key * args.k.head_dim, .b_row = width,
                           .c = s.p + i * width, .c_row = width, .accumulate = false};
    kernels.multiply(product);
    product.k = args.v.head_dim;
    product.a = s.dout + i * sizes.v_width, product.a_row = sizes.v_width;
    product.b = s.values_t + key * args.v.head_dim;
    product.c = s.ds + i * width;
    kernels.multiply(product);
  });
  const TileMask mask = {.m = m, .n = width, .first_visible = on_diagonal ? 1 : n};
  kernels.softmax_gradient(mask, args.scale, lse, s.delta, s.p, s.ds);
}

// dv += p^T dout and dk += ds^T q, for keys [key, key + n). On the diagonal a strip of keys is seen only by the queries
// from its own first row on.
void AddKeyGradients(const Sizes& sizes, const BackwardScratch& s, int64_t m, int64_t key, int64_t n, bool on_diagonal) {
  const AttentionTileKernels& kernels = Kernels();
  const int64_t width = PaddedWidth(n);
  const int64_t strip = on_diagonal ? kStrip : n;
  for (int64_t j = 0; j < n; j += strip) {
    const int64_t first = on_diagonal ? j : 0;  // query
    TileProduct product = {.m = std::min(strip, n - j), .n = sizes.v_width, .k = m - first,
                           .a = s.p + first * width + j, .a_row = 1, .a_column = width,
                           .b = s.dout + first * sizes.v_width, .b_row = sizes.v_width,
                           .c = s.dv + (key + j) * sizes.v_width, .c_row = sizes.v_width, .accumulate = true};
    kernels.multiply(product);
    product.n = sizes.q_width;
    product.a = s.ds + first * width + j;
    product.b = s.q + first * sizes.q_width, product.b_row = sizes.q_width;
    product.c = s.dk + (key + j) * sizes.q_width, product.c_row = sizes.q_width;
    kernels.multiply(product);
  }
}

// dq += ds k.
void AddQueryGradient(const Sizes& sizes, const BackwardScratch& s, int64_t m, int64_t key, int64_t n, bool on_diagonal) {
  const int64_t width = PaddedWidth(n);
  ForEachStrip(on_diagonal, m, n, [&](int64_t i, int64_t rows, int64_t columns) {
    Kernels().multiply({.m = rows, .n = sizes.q_width, .k = columns,
                        .a = s.ds + i * width, .a_row = width, .a_column = 1,
                        .b = s.keys + key * sizes.q_width, .b_row = sizes.q_width,
                        .c = s.dq + i * sizes.q_width, .c_row = sizes.q_width, .accumulate = true});
  });
}

// One block of queries of one head: its dq, and what it adds to the dk and dv of the document.
template <typename T>
void BackwardBlock(const AttentionBackwardArgs& args, const Sizes& sizes, const BackwardScratch& s,
                   const Document& document, int64_t head, int64_t row) {
  const int64_t m = std::min(kTile, document.length - row);
  const int64_t token = document.begin + row;
  LoadTile<T>(args.q, head, token, m, s.q);
  LoadTile<T>(args.out, head, token, m, s.out);
  LoadTile<T>(args.dout, head, token, m, s.dout);
  Kernels().row_dots(m, sizes.v_width, s.out, s.dout, s.delta);
  std::fill(s.dq, s.dq + m * sizes.q_width, 0.0f);
  const float* lse = args.lse.data<float>() + head * args.lse.dim(1) + token;
  for (int64_t key = 0; key <= row; key += kTile) {
    const int64_t n = std::min(kTile, document.length - key);
    RecomputeTile(args, sizes, s, lse, m, key, n, key == row);
    AddKeyGradients(sizes, s, m, key, n, key == row);
    AddQueryGradient(sizes, s, m, key, n, key == row);
  }
  StoreTile<T>(s.dq, nullptr, m, args.dq, head, token);
}

template <typename T>
void Backward(ThreadPool& pool, const AttentionBackwardArgs& args, float* scratch) {
  const Sizes sizes(args);
  const int64_t floats = BackwardScratchFloats(args);
  const int64_t num_documents = args.packing.cu_seqlens.dim(0) - 1;
  ForEachTask(pool, num_documents * args.k.num_heads, [&](int64_t thread, int64_t task) {
    const int64_t kv_head = task % args.k.num_heads;
    const Document document = DocumentAt(args.packing, task / args.k.num_heads);
    if (document.length == 0) return;
    Pieces pieces(scratch + thread * floats);
    const BackwardScratch s(sizes, args.q.head_dim, args.v.head_dim, pieces);
    LoadPanels<T>(args, sizes, kv_head, document, s);
    for (int64_t i = 0; i < sizes.group; ++i) {
      for (int64_t row = 0; row < document.length; row += kTile) {
        BackwardBlock<T>(args, sizes, s, document, kv_head * sizes.group + i, row);
      }
    }
    StoreTile<T>(s.dk, nullptr, document.length, args.dk, kv_head, document.begin);
    StoreTile<T>(s.dv, nullptr, document.length, args.dv, kv_head, document.begin);
  });
}

}  // namespace

size_t AttentionForwardScratchBytes(const AttentionForwardArgs& args, int num_threads) {
  return static_cast<size_t>(num_threads * ForwardScratchFloats(args)) * sizeof(float);
}

size_t AttentionBackwardScratchBytes(const AttentionBackwardArgs& args, int num_threads) {
  return static_cast<size_t>(num_threads * BackwardScratchFloats(args)) * sizeof(float);
}

void AttentionForward(ThreadPool& pool, const AttentionForwardArgs& args, TensorView scratch) {
  CheckDocuments(args.packing, args.q.rows.dim(0));
  float* floats = static_cast<float*>(scratch.raw());
  args.q.rows.dtype() == DType::kF32 ? Forward<float>(pool, args, floats) : Forward<bf16>(pool, args, floats);
}

void AttentionBackward(ThreadPool& pool, const AttentionBackwardArgs& args, TensorView scratch) {
  CheckDocuments(args.packing, args.q.rows.dim(0));
  float* floats = static_cast<float*>(scratch.raw());
  args.q.rows.dtype() == DType::kF32 ? Backward<float>(pool, args, floats) : Backward<bf16>(pool, args, floats);
}

}  // namespace weft::cpu
