// The parameters of a decoder: the ParamSpec table built from a ModelConfig, and where each one stands in it.
#pragma once

#include <vector>

#include "model/config.h"
#include "model/norm.h"
#include "parallel/param_spec.h"
#include "parallel/param_store.h"
#include "parallel/stage_layout.h"

namespace weft {

// Indices into the table; -1 where the architecture has none.
struct NormParams {
  int weight = -1;  // [D]
  int bias = -1;    // [D], of layer norm
};
struct BlockParams {
  NormParams attn_norm;
  int wqkv = -1;    // [(H + 2K) Q, D]: q, k, v rows
  int bqkv = -1;    // [(H + 2K) Q]
  int q_norm = -1;  // [Q]
  int k_norm = -1;  // [Q]
  int wo = -1;      // [D, H Q]
  int bo = -1;      // [D]
  NormParams mlp_norm;
  int w_up = -1;    // [U, D]: gate rows, up rows under SwiGLU (U = 2F); else up rows (U = F)
  int b_up = -1;    // [U]
  int w_down = -1;  // [D, F]
  int b_down = -1;  // [D]
};

struct DecoderParams {
  std::vector<ParamSpec> specs;
  int embedding = -1;   // [V, D]
  int positions = -1;   // [P, D], where they are learned
  std::vector<BlockParams> blocks;
  NormParams final_norm;
  int lm_head = -1;     // [V, D]; the embedding itself when tied

  // Groups, in forward order.
  int embedding_group() const { return 0; }
  int block_group(int layer) const { return 1 + layer; }
  int head_group() const { return 1 + static_cast<int>(blocks.size()); }
  int num_groups() const { return head_group() + 1; }
};

DecoderParams MakeDecoderParams(const ModelConfig& config);

// Says in each spec which pipeline ranks hold it: that of its group; a tied table also that of the head.
void AssignStages(DecoderParams* params, const StageLayout& stages);

// One block's weights as views, [local shape] in the compute dtype; empty where the architecture has none.
struct BlockWeights {
  NormWeights attn_norm;
  ConstTensorView wqkv, bqkv, q_norm, k_norm, wo, bo;
  NormWeights mlp_norm;
  ConstTensorView w_up, b_up, w_down, b_down;
};
BlockWeights WeightsOf(const ParamStore& store, const BlockParams& ids);
NormWeights WeightsOf(const ParamStore& store, const NormParams& ids);

// Its gradients, [local shape] f32, accumulated into. Those of vectors (norms and biases) are at hand throughout a plan,
// those of matrices only around the action that makes them (ParamSync::UseGrads).
struct BlockVectorGrads {
  NormGrads attn_norm;
  TensorView bqkv, q_norm, k_norm, bo;
  NormGrads mlp_norm;
  TensorView b_up, b_down;
};
struct BlockMatrixGrads {
  TensorView wqkv, wo, w_up, w_down;
};
BlockVectorGrads VectorGradsOf(const ParamStore& store, const BlockParams& ids);
BlockMatrixGrads MatrixGradsOf(const ParamStore& store, const BlockParams& ids);
NormGrads GradsOf(const ParamStore& store, const NormParams& ids);

}  // namespace weft
