// Cross-entropy of a chunk of logits, in three steps so that a vocabulary cut over ranks can reduce in between
// (Shoeybi et al., "Megatron-LM", 2019), and so that no tensor of [T, V] ever exists:
//   1. stats: each row's log-sum-exp and its target's logit (over the local slice of the vocabulary);
//      combine, where the vocabulary is cut: the slices' statistics, gathered, become those of the whole;
//   2. loss:  loss_sum += sum over rows of weight * (lse - target_logit);
//   3. grad:  logits := scale * weight * (softmax(logits) - onehot(target)), in place.
// Rows of weight 0 add nothing and get zeros, whatever their target.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct CrossEntropyStatsArgs {
  ConstTensorView logits;   // [C, V] f32 | bf16
  ConstTensorView targets;  // [C] i32: global token ids
  TensorView lse;           // [C] f32
  TensorView target_logit;  // [C] f32: 0 where the target is outside [vocab_begin, vocab_begin + V)
  int64_t vocab_begin = 0;
};

struct CrossEntropyCombineArgs {
  ConstTensorView parts;    // [R, 2, C] f32: of each slice of the vocabulary, lse and target_logit
  TensorView lse;           // [C] f32: over the whole vocabulary
  TensorView target_logit;  // [C] f32
};

struct CrossEntropyLossArgs {
  ConstTensorView lse;           // [C] f32
  ConstTensorView target_logit;  // [C] f32
  ConstTensorView weights;       // [C] f32: the loss mask
  TensorView loss_sum;           // [1] f32, accumulated into
};

struct CrossEntropyGradArgs {
  TensorView logits;        // [C, V] f32 | bf16, replaced by its gradient
  ConstTensorView targets;  // [C] i32
  ConstTensorView weights;  // [C] f32
  ConstTensorView lse;      // [C] f32: over the whole vocabulary
  float scale = 1;          // 1 / number of unmasked tokens in the global batch
  int64_t vocab_begin = 0;
};

void Check(const CrossEntropyStatsArgs& args);
void Check(const CrossEntropyCombineArgs& args);
void Check(const CrossEntropyLossArgs& args);
void Check(const CrossEntropyGradArgs& args);
void CrossEntropyStats(Stream& stream, const CrossEntropyStatsArgs& args);
void CrossEntropyCombine(Stream& stream, const CrossEntropyCombineArgs& args);
void CrossEntropyLoss(Stream& stream, const CrossEntropyLossArgs& args);
void CrossEntropyGrad(Stream& stream, const CrossEntropyGradArgs& args);

namespace cpu {
void CrossEntropyStats(ThreadPool& pool, const CrossEntropyStatsArgs& args);
void CrossEntropyCombine(ThreadPool& pool, const CrossEntropyCombineArgs& args);
void CrossEntropyLoss(ThreadPool& pool, const CrossEntropyLossArgs& args);
void CrossEntropyGrad(ThreadPool& pool, const CrossEntropyGradArgs& args);
}  // namespace cpu
namespace cuda {
void CrossEntropyStats(Stream& stream, const CrossEntropyStatsArgs& args);
void CrossEntropyCombine(Stream& stream, const CrossEntropyCombineArgs& args);
void CrossEntropyLoss(Stream& stream, const CrossEntropyLossArgs& args);
void CrossEntropyGrad(Stream& stream, const CrossEntropyGradArgs& args);
}  // namespace cuda

}  // namespace weft
