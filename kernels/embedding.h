// Embedding of tokens, or of positions: rows of a table, and the sum of gradients by token. The table may be a slice of
// the vocabulary, rows [vocab_begin, vocab_begin + V): tokens outside it give zeros and no gradient (vocab-parallel
// embedding, Shoeybi et al., "Megatron-LM", 2019). The gradient is summed in a fixed order: deterministic on every device.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct EmbeddingForwardArgs {
  ConstTensorView tokens;  // [T] i32
  ConstTensorView table;   // [V, D] f32 | bf16
  TensorView y;            // [T, D] same dtype
  int64_t vocab_begin = 0;
  bool accumulate = false;  // add to y, in f32 with one rounding
};

struct EmbeddingBackwardArgs {
  ConstTensorView tokens;  // [T] i32
  ConstTensorView dy;      // [T, D] f32 | bf16
  TensorView dtable;       // [V, D] f32, accumulated into
  int64_t vocab_begin = 0;
};

void Check(const EmbeddingForwardArgs& args);
void Check(const EmbeddingBackwardArgs& args);
void EmbeddingForward(Stream& stream, const EmbeddingForwardArgs& args);
void EmbeddingBackward(Stream& stream, const EmbeddingBackwardArgs& args);

namespace cpu {
void EmbeddingForward(ThreadPool& pool, const EmbeddingForwardArgs& args);
void EmbeddingBackward(ThreadPool& pool, const EmbeddingBackwardArgs& args);
}  // namespace cpu
namespace cuda {
void EmbeddingForward(Stream& stream, const EmbeddingForwardArgs& args);
void EmbeddingBackward(Stream& stream, const EmbeddingBackwardArgs& args);
}  // namespace cuda

}  // namespace weft
