// The activations and gradients that one pipeline rank's part of a decoder works on, all allocated before the first step.
//
// What several micro-batches in flight need at once comes in pools of exactly the plan's peaks; the rest is there once,
// because the compute stream uses it up before the next action.
#pragma once

#include "core/arena.h"
#include "model/block.h"
#include "model/head.h"
#include "model/slot_pool.h"
#include "parallel/plan_peaks.h"
#include "parallel/stage_layout.h"

namespace weft {

// What a block has while it is computed, and from its BackwardInput to its BackwardWeight.
struct BlockWork {
  BlockStash recomputed;       // the pieces of the stash that recomputation does not keep
  PendingWeightGrads pending;
};

struct DecoderMemory {
  SlotPool<BlockStash> stashes;         // of blocks; the pieces that recomputation keeps
  SlotPool<HeadStash> head_stashes;
  SlotPool<BlockWork> works;            // of blocks
  SlotPool<TensorView> residual_grads;  // [T/tp, D] gradient of what a group put out
  SlotPool<TensorView> outgoing;        // [T/tp, D] activations on their way to the next virtual stage
  TensorView delta;                     // [T/tp, D] what the last sub-layer adds to the residual stream
  BlockBackwardScratch block_scratch;
  HeadScratch head_scratch;
  TensorView loss_sum;                  // [1] f32
};

// `config` is the rank's own share (LocalConfig); pp rank `stage` of `stages`.
DecoderMemory AllocateDecoderMemory(Arena& arena, const ModelConfig& config, const ActivationSizes& sizes,
                                    Recompute recompute, const StageLayout& stages, int stage, const Peaks& peaks);

}  // namespace weft
