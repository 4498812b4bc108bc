// Causal attention over packed documents with grouped kv heads, without ever holding the [T, T] scores.
// Dao, "FlashAttention-2", 2023. Query head h reads kv head h / (H / K). A token sees its own document up to itself.
// The gradient is deterministic on every device.
#pragma once

#include "core/stream.h"
#include "kernels/heads.h"

namespace weft {

// Where documents lie in a packed sequence: document d is tokens [cu_seqlens[d], cu_seqlens[d + 1]).
// cu_seqlens[0] = 0, the last entry is T; documents may be empty (to fill a bucket).
struct Packing {
  ConstTensorView cu_seqlens;  // [N + 1] i32, on the stream's device
  int64_t max_seqlen = 0;      // no document is longer; T is always right
};

struct AttentionForwardArgs {
  ConstHeads q;     // [T, W], H heads of Q, f32 | bf16
  ConstHeads k;     // [T, W], K heads of Q
  ConstHeads v;     // [T, W], K heads of Qv
  Packing packing;
  Heads out;        // [T, W'], H heads of Qv, same dtype
  TensorView lse;   // [H, T] f32: log-sum-exp of each row's scaled scores, for backward
  float scale = 0;  // of the scores; usually 1 / sqrt(Q)
};

struct AttentionBackwardArgs {
  ConstHeads q, k, v;   // as in forward
  ConstHeads out, dout; // [T, W'], H heads of Qv
  ConstTensorView lse;  // [H, T] f32
  Packing packing;
  Heads dq, dk, dv;     // the heads of q, k, v; overwritten
  float scale = 0;
};

void Check(const AttentionForwardArgs& args);
void Check(const AttentionBackwardArgs& args);
void AttentionForward(Stream& stream, const AttentionForwardArgs& args);
void AttentionBackward(Stream& stream, const AttentionBackwardArgs& args);

namespace cpu {
size_t AttentionForwardScratchBytes(const AttentionForwardArgs& args, int num_threads);
size_t AttentionBackwardScratchBytes(const AttentionBackwardArgs& args, int num_threads);
void AttentionForward(ThreadPool& pool, const AttentionForwardArgs& args, TensorView scratch);
void AttentionBackward(ThreadPool& pool, const AttentionBackwardArgs& args, TensorView scratch);
}  // namespace cpu
namespace cuda {
void AttentionForward(Stream& stream, const AttentionForwardArgs& args);
void AttentionBackward(Stream& stream, const AttentionBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
