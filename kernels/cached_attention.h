// Attention of serving: keys and values of earlier tokens are kept, and each new token attends to its own sequence's.
// Two ops: one writes new keys and values into the cache, one reads it for one new token a sequence. CPU only so far.
#pragma once

#include "core/stream.h"
#include "kernels/heads.h"

namespace weft {

// cache[slots[t], positions[t]] := the k and v heads of token t.
struct CacheAppendArgs {
  ConstHeads k, v;           // [T, W], K heads of Q, f32 | bf16
  ConstTensorView slots;     // [T] i32: which sequence's memory
  ConstTensorView positions; // [T] i32: below the capacity
  TensorView keys, values;   // [S, capacity, K * Q] same dtype
};

// B new tokens, of different sequences or of one; their own keys and values are already in the cache.
struct CachedAttentionArgs {
  ConstHeads q;                  // [B, W], H heads of Q, f32 | bf16
  ConstTensorView keys, values;  // [S, capacity, K * Q] same dtype
  int64_t num_kv_heads = 0;      // K, which divides H
  ConstTensorView slots;         // [B] i32
  ConstTensorView positions;     // [B] i32: of the new token; it sees positions 0 .. itself
  Heads out;                     // [B, W'], H heads of Q, same dtype
  float scale = 0;
};

void Check(const CacheAppendArgs& args);
void Check(const CachedAttentionArgs& args);
void CacheAppend(Stream& stream, const CacheAppendArgs& args);
void CachedAttention(Stream& stream, const CachedAttentionArgs& args);

namespace cpu {
void CacheAppend(ThreadPool& pool, const CacheAppendArgs& args);
size_t CachedAttentionScratchBytes(const CachedAttentionArgs& args, int num_threads);
void CachedAttention(ThreadPool& pool, const CachedAttentionArgs& args, TensorView scratch);
}  // namespace cpu

}  // namespace weft
