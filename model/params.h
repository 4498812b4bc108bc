// The parameters of a decoder: the ParamSpec table built from a ModelConfig, and where each one stands in it.
#pragma once

#include <vector>

#include "model/config.h"
#include "parallel/param_spec.h"
#include "parallel/param_store.h"
#include "parallel/stage_layout.h"

namespace weft {

// Indices into the table; -1 where the architecture has none.
struct BlockParams {
  int attn_norm = -1;  // [D]
  int wqkv = -1;       // [(H + 2K) Q, D]: q, k, v rows
  int bqkv = -1;       // [(H + 2K) Q]
  int q_norm = -1;     // [Q]
  int k_norm = -1;     // [Q]
  int wo = -1;         // [D, H Q]
  int mlp_norm = -1;   // [D]
  int w_gate_up = -1;  // [2F, D]: gate rows, up rows
  int w_down = -1;     // [D, F]
};

struct DecoderParams {
  std::vector<ParamSpec> specs;
  int embedding = -1;   // [V, D]
  std::vector<BlockParams> blocks;
  int final_norm = -1;  // [D]
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
  ConstTensorView attn_norm, wqkv, bqkv, q_norm, k_norm, wo, mlp_norm, w_gate_up, w_down;
};
BlockWeights WeightsOf(const ParamStore& store, const BlockParams& ids);

// Its gradients, [local shape] f32, accumulated into. Those of the norms are at hand throughout a plan, those of the
// projections only around the action that makes them (ParamSync::UseGrads).
struct BlockNormGrads {
  TensorView attn_norm, q_norm, k_norm, mlp_norm;
};
struct BlockProjectionGrads {
  TensorView wqkv, bqkv, wo, w_gate_up, w_down;
};
BlockNormGrads NormGradsOf(const ParamStore& store, const BlockParams& ids);
BlockProjectionGrads ProjectionGradsOf(const ParamStore& store, const BlockParams& ids);

}  // namespace weft
