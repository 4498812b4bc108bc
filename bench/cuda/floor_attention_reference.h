// Plain attention over packed documents, forward and backward, at sampled positions of one kv head: what the timed
// attention kernels are checked against. Written from the definition (no tiling, f32 with per-row softmax):
//   s_ij = scale q_i . k_j,  p_ij = exp(s_ij - lse_i) for j <= i in the same document,  o_i = sum_j p_ij v_j,
//   ds_ij = p_ij (do_i . v_j - delta_i),  delta_i = sum_j p_ij (do_i . v_j),
//   dq_i = scale sum_j ds_ij k_j,  dk_j = scale sum_i ds_ij q_i,  dv_j = sum_i p_ij do_i  (dk, dv over the heads of j).
#ifndef WEFT_BENCH_CUDA_FLOOR_ATTENTION_REFERENCE_H_
#define WEFT_BENCH_CUDA_FLOOR_ATTENTION_REFERENCE_H_

#include <cuda_bf16.h>

#include <cstdint>
#include <vector>

namespace weft::floors {

// bf16 tensors on the device, all [T, heads, Q] with a stride between tokens.
struct AttentionTensors {
  __nv_bfloat16 *q, *k, *v, *o, *d_o, *dq, *dk, *dv;
  int64_t q_stride, kv_stride, o_stride;  // elements from token to token; dq and dk, dv as q and k, v
  int heads, kv_heads, head_dim;          // head_dim 64 or 128
};

struct AttentionErrors {
  double o, dq, dk, dv;            // ||x - reference|| / ||reference|| over the samples
  int64_t num_non_finite;          // over every element of o, dq, dk, dv
};

// Compares at 64 sampled tokens of kv head `kv_head`. document_starts: [num_documents + 1] token offsets, host.
AttentionErrors CheckAttention(const AttentionTensors& tensors, const std::vector<int>& document_starts, int kv_head);

}  // namespace weft::floors

#endif  // WEFT_BENCH_CUDA_FLOOR_ATTENTION_REFERENCE_H_
