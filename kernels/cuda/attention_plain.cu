// Plain tiled attention in f32 arithmetic, deterministic: Dao, "FlashAttention-2", 2023, with tiles of 16 tokens.
//
// Tiles cut the packed sequence, not the documents: a tile may hold the end of one document and the start of the next,
// and each row masks what is not its own. Forward and dq take a query tile a block and walk the keys; dk and dv take a
// key tile of a kv head a block and walk the queries of its whole head group, so every gradient has one writer.
// A thread (row, lane) of a 16 x 16 block holds one score, and of each row of results every 16th column.
#include "kernels/cuda/attention_plain.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

constexpr int kTile = 16;

// Some heads, as the kernels see them.
template <typename T>
struct HeadRows {
  T* rows;
  int64_t width, column, head_dim;
  __device__ T* At(int64_t token, int64_t head) const { return rows + token * width + column + head * head_dim; }
};

template <typename T>
HeadRows<T> HeadRowsOf(const Heads& heads) {
  return {static_cast<T*>(heads.rows.raw()), heads.rows.dim(1), heads.column, heads.head_dim};
}
template <typename T>
HeadRows<const T> HeadRowsOf(const ConstHeads& heads) {
  return {static_cast<const T*>(heads.rows.raw()), heads.rows.dim(1), heads.column, heads.head_dim};
}

struct Documents {
  const int32_t* cu_seqlens;  // [n + 1]
  int64_t n;
  int64_t num_tokens;

  // The document of a token: the last that begins at or before it (empty ones begin where the next does).
  __device__ int64_t Find(int64_t token) const {
    int64_t low = 0, high = n;  // cu_seqlens[low] <= token < cu_seqlens[high]
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (cu_seqlens[middle] <= token ? low : high) = middle;
    }
    return low;
  }
  __device__ int64_t Begin(int64_t token) const { return cu_seqlens[Find(token)]; }
  __device__ int64_t End(int64_t token) const { return cu_seqlens[Find(token) + 1]; }
};

// Tiles in shared memory are [kTile, head_dim] f32 with rows one element longer, so that a column hits all banks.
__device__ inline int64_t Stride(int64_t head_dim) { return head_dim + 1; }
size_t TileBytes(int64_t head_dim) { return kTile * (head_dim + 1) * sizeof(float); }

// tile := rows [first, first + kTile) of a head; zeros past the last token.
template <typename T>
__device__ void LoadTile(float* tile, HeadRows<const T> heads, int64_t first, int64_t head, int64_t num_tokens) {
  const int64_t token = first + threadIdx.y;
  for (int64_t c = threadIdx.x; c < heads.head_dim; c += kTile) {
    tile[threadIdx.y * Stride(heads.head_dim) + c] = token < num_tokens ? ToFloat(heads.At(token, head)[c]) : 0.0f;
  }
}

template <typename T>
__device__ void StoreTile(HeadRows<T> heads, int64_t first, int64_t head, int64_t num_tokens, const float* tile) {
  const int64_t token = first + threadIdx.y;
  if (token >= num_tokens) return;
  for (int64_t c = threadIdx.x; c < heads.head_dim; c += kTile) {
    heads.At(token, head)[c] = FromFloat<T>(tile[threadIdx.y * Stride(heads.head_dim) + c]);
  }
}

__device__ inline void ClearTile(float* tile, int64_t head_dim) {
  for (int64_t c = threadIdx.x; c < head_dim; c += kTile) tile[threadIdx.y * Stride(head_dim) + c] = 0;
}

__device__ inline float Dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += a[c] * b[c];
  return sum;
}

// Row threadIdx.y of `sums` += sum over j of weights[threadIdx.y][j] * row j of `tile`.
__device__ inline void AddWeighted(float* sums, const float (&weights)[kTile][kTile + 1], const float* tile,
                                   int64_t head_dim) {
  for (int64_t c = threadIdx.x; c < head_dim; c += kTile) {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kTile; ++j) sum += weights[threadIdx.y][j] * tile[j * Stride(head_dim) + c];
    sums[threadIdx.y * Stride(head_dim) + c] += sum;
  }
}

// Over the 16 lanes of a row; every lane gets the result.
__device__ inline float RowMax(float x) {
#pragma unroll
  for (int offset = kTile / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}
__device__ inline float RowSum(float x) {
#pragma unroll
  for (int offset = kTile / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

template <typename T>
struct Forward {
  HeadRows<const T> q, k, v;
  HeadRows<T> out;
  float* lse;  // [H, T]
  Documents documents;
  int64_t group;  // query heads a kv head
  float scale;
};

// Grid (query tiles, H).
template <typename T>
__global__ void ForwardKernel(Forward<T> a) {
  extern __shared__ float shared[];
  __shared__ float weights[kTile][kTile + 1];
  const int64_t tokens = a.documents.num_tokens, head = blockIdx.y, first = int64_t{blockIdx.x} * kTile;
  float* q = shared;
  float* k = q + kTile * Stride(a.q.head_dim);
  float* v = k + kTile * Stride(a.k.head_dim);
  float* out = v + kTile * Stride(a.v.head_dim);
  LoadTile(q, a.q, first, head, tokens);
  ClearTile(out, a.out.head_dim);

  const int64_t query = first + threadIdx.y;
  const int64_t begin = a.documents.Begin(min(query, tokens - 1));
  float max = -INFINITY, sum = 0;
  for (int64_t key_first = a.documents.Begin(first) / kTile * kTile; key_first <= first; key_first += kTile) {
    __syncthreads();  // the last round's readers are done
    LoadTile(k, a.k, key_first, head / a.group, tokens);
    LoadTile(v, a.v, key_first, head / a.group, tokens);
    __syncthreads();
    const int64_t key = key_first + threadIdx.x;
    const bool visible = key >= begin && key <= query;
    const float score = visible ? a.scale * Dot(q + threadIdx.y * Stride(a.q.head_dim),
                                                k + threadIdx.x * Stride(a.k.head_dim), a.q.head_dim)
                                : -INFINITY;
    const float new_max = fmaxf(max, RowMax(score));
    const float weight = visible ? expf(score - new_max) : 0.0f;
    const float shrink = max == -INFINITY ? 0.0f : expf(max - new_max);
    sum = sum * shrink + RowSum(weight);
    max = new_max;
    weights[threadIdx.y][threadIdx.x] = weight;
    for (int64_t c = threadIdx.x; c < a.out.head_dim; c += kTile) out[threadIdx.y * Stride(a.out.head_dim) + c] *= shrink;
    __syncthreads();
    AddWeighted(out, weights, v, a.v.head_dim);
  }
  for (int64_t c = threadIdx.x; c < a.out.head_dim; c += kTile) out[threadIdx.y * Stride(a.out.head_dim) + c] /= sum;
  StoreTile(a.out, first, head, tokens, out);
  if (threadIdx.x == 0 && query < tokens) a.lse[head * tokens + query] = max + logf(sum);
}

template <typename T>
struct Backward {
  HeadRows<const T> q, k, v, out, dout;
  HeadRows<T> dq, dk, dv;
  const float* lse;    // [H, T]
  float* delta;        // [H, T] workspace: dout . out
  Documents documents;
  int64_t group;
  float scale;
};

// Grid (query tiles, H): delta = dout . out.
template <typename T>
__global__ void DeltaKernel(Backward<T> a) {
  const int64_t head = blockIdx.y, token = int64_t{blockIdx.x} * kTile + threadIdx.y;
  float sum = 0;
  if (token < a.documents.num_tokens) {
    for (int64_t c = threadIdx.x; c < a.out.head_dim; c += kTile) {
      sum += ToFloat(a.dout.At(token, head)[c]) * ToFloat(a.out.At(token, head)[c]);
    }
  }
  sum = RowSum(sum);
  if (threadIdx.x == 0 && token < a.documents.num_tokens) a.delta[head * a.documents.num_tokens + token] = sum;
}

// A probability and its score's gradient, recomputed; zeros where the key is masked. q, k, dout, v are this pair's rows.
struct Score {
  float weight, gradient;
};
template <typename T>
__device__ Score Recompute(const Backward<T>& a, const float* q, const float* k, const float* dout, const float* v,
                           int64_t head, int64_t query, bool visible) {
  if (!visible) return {0, 0};
  const int64_t at = head * a.documents.num_tokens + query;
  const float weight = expf(a.scale * Dot(q, k, a.q.head_dim) - a.lse[at]);
  return {weight, a.scale * weight * (Dot(dout, v, a.v.head_dim) - a.delta[at])};
}

// Grid (query tiles, H): dq = sum over keys of gradient * k.
template <typename T>
__global__ void QueryGradKernel(Backward<T> a) {
  extern __shared__ float shared[];
  __shared__ float gradients[kTile][kTile + 1];
  const int64_t tokens = a.documents.num_tokens, head = blockIdx.y, first = int64_t{blockIdx.x} * kTile;
  const int64_t qk_stride = Stride(a.q.head_dim), v_stride = Stride(a.v.head_dim);
  float* q = shared;
  float* k = q + kTile * qk_stride;
  float* dq = k + kTile * qk_stride;
  float* dout = dq + kTile * qk_stride;
  float* v = dout + kTile * v_stride;
  LoadTile(q, a.q, first, head, tokens);
  LoadTile(dout, a.dout, first, head, tokens);
  ClearTile(dq, a.dq.head_dim);

  const int64_t query = first + threadIdx.y;
  const int64_t begin = a.documents.Begin(min(query, tokens - 1));
  for (int64_t key_first = a.documents.Begin(first) / kTile * kTile; key_first <= first; key_first += kTile) {
    __syncthreads();  // the last round's readers are done
    LoadTile(k, a.k, key_first, head / a.group, tokens);
    LoadTile(v, a.v, key_first, head / a.group, tokens);
    __syncthreads();
    const int64_t key = key_first + threadIdx.x;
    const bool visible = key >= begin && key <= query && query < tokens;
    gradients[threadIdx.y][threadIdx.x] =
        Recompute(a, q + threadIdx.y * qk_stride, k + threadIdx.x * qk_stride, dout + threadIdx.y * v_stride,
                  v + threadIdx.x * v_stride, head, query, visible)
            .gradient;
    __syncthreads();
    AddWeighted(dq, gradients, k, a.k.head_dim);
  }
  StoreTile(a.dq, first, head, tokens, dq);
}

// Grid (key tiles, K): dk = sum over queries of gradient * q, dv = sum over queries of weight * dout.
template <typename T>
__global__ void KeyGradKernel(Backward<T> a) {
  extern __shared__ float shared[];
  __shared__ float weights[kTile][kTile + 1], gradients[kTile][kTile + 1];
  const int64_t tokens = a.documents.num_tokens, kv_head = blockIdx.y, first = int64_t{blockIdx.x} * kTile;
  const int64_t qk_stride = Stride(a.q.head_dim), v_stride = Stride(a.v.head_dim);
  float* q = shared;
  float* k = q + kTile * qk_stride;
  float* dk = k + kTile * qk_stride;
  float* dout = dk + kTile * qk_stride;
  float* v = dout + kTile * v_stride;
  float* dv = v + kTile * v_stride;
  LoadTile(k, a.k, first, kv_head, tokens);
  LoadTile(v, a.v, first, kv_head, tokens);
  ClearTile(dk, a.dk.head_dim);
  ClearTile(dv, a.dv.head_dim);

  const int64_t key = first + threadIdx.y;
  const int64_t end = a.documents.End(min(key, tokens - 1));
  const int64_t last_end = a.documents.End(min(first + kTile, tokens) - 1);
  for (int64_t head = kv_head * a.group; head < (kv_head + 1) * a.group; ++head) {
    for (int64_t query_first = first; query_first < last_end; query_first += kTile) {
      __syncthreads();  // the last round's readers are done
      LoadTile(q, a.q, query_first, head, tokens);
      LoadTile(dout, a.dout, query_first, head, tokens);
      __syncthreads();
      const int64_t query = query_first + threadIdx.x;
      const bool visible = query >= key && query < end && key < tokens;
      const Score score =
          Recompute(a, q + threadIdx.x * qk_stride, k + threadIdx.y * qk_stride, dout + threadIdx.x * v_stride,
                    v + threadIdx.y * v_stride, head, query, visible);
      weights[threadIdx.y][threadIdx.x] = score.weight;
      gradients[threadIdx.y][threadIdx.x] = score.gradient;
      __syncthreads();
      AddWeighted(dk, gradients, q, a.q.head_dim);
      AddWeighted(dv, weights, dout, a.v.head_dim);
    }
  }
  StoreTile(a.dk, first, kv_head, tokens, dk);
  StoreTile(a.dv, first, kv_head, tokens, dv);
}

template <typename Args>
void Launch(void (*kernel)(Args), const Args& args, int64_t num_heads, size_t shared_bytes, cudaStream_t stream) {
  WEFT_CUDA_CALL(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)));
  const dim3 grid(static_cast<unsigned>(CeilDiv(args.documents.num_tokens, kTile)), static_cast<unsigned>(num_heads));
  kernel<<<grid, dim3(kTile, kTile), shared_bytes, stream>>>(args);
  WEFT_CUDA_CHECK_LAUNCH();
}

Documents DocumentsOf(const Packing& packing, int64_t num_tokens) {
  return {packing.cu_seqlens.data<int32_t>(), packing.cu_seqlens.dim(0) - 1, num_tokens};
}

}  // namespace

void AttentionForwardPlain(Stream& stream, const AttentionForwardArgs& args) {
  const int64_t tokens = args.q.rows.dim(0);
  const cudaStream_t native = Native(stream);
  WithElement(args.q.rows.dtype(), [&](auto element) {
    using T = decltype(element);
    const Forward<T> forward = {HeadRowsOf<T>(args.q),
                                HeadRowsOf<T>(args.k),
                                HeadRowsOf<T>(args.v),
                                HeadRowsOf<T>(args.out),
                                args.lse.data<float>(),
                                DocumentsOf(args.packing, tokens),
                                args.q.num_heads / args.k.num_heads,
                                args.scale};
    const size_t shared_bytes = 2 * TileBytes(args.q.head_dim) + 2 * TileBytes(args.v.head_dim);
    Launch(ForwardKernel<T>, forward, args.q.num_heads, shared_bytes, native);
  });
}

void AttentionBackwardPlain(Stream& stream, const AttentionBackwardArgs& args) {
  const int64_t tokens = args.q.rows.dim(0);
  const cudaStream_t native = Native(stream);
  auto* delta = static_cast<float*>(stream.Workspace(args.q.num_heads * tokens * sizeof(float)).raw());
  WithElement(args.q.rows.dtype(), [&](auto element) {
    using T = decltype(element);
    const Backward<T> backward = {HeadRowsOf<T>(args.q),
                                  HeadRowsOf<T>(args.k),
                                  HeadRowsOf<T>(args.v),
                                  HeadRowsOf<T>(args.out),
                                  HeadRowsOf<T>(args.dout),
                                  HeadRowsOf<T>(args.dq),
                                  HeadRowsOf<T>(args.dk),
                                  HeadRowsOf<T>(args.dv),
                                  args.lse.data<float>(),
                                  delta,
                                  DocumentsOf(args.packing, tokens),
                                  args.q.num_heads / args.k.num_heads,
                                  args.scale};
    const size_t qk = TileBytes(args.q.head_dim), v = TileBytes(args.v.head_dim);
    Launch(DeltaKernel<T>, backward, args.q.num_heads, 0, native);
    Launch(QueryGradKernel<T>, backward, args.q.num_heads, 3 * qk + 2 * v, native);
    Launch(KeyGradKernel<T>, backward, args.k.num_heads, 3 * qk + 3 * v, native);
  });
}

}  // namespace weft::cuda
