// MicroBatch: packed token sequences on the CPU, as one forward pass takes them. T = num_sequences * sequence_length
// always; packing changes only cu_seqlens.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/tensor.h"

namespace weft {

struct MicroBatch {
  Tensor tokens;      // [T] i32
  Tensor targets;     // [T] i32: the next token of the same document; 0 in padding
  Tensor weights;     // [T] f32: 1 where the target counts in the loss, else 0
  Tensor positions;   // [T] i32: 0, 1, 2, ... within each piece and within each padding
  Tensor cu_seqlens;  // [N + 1] i32: where pieces begin; N is a power of two, unused entries repeat T
  int64_t num_sequences = 0;
  int64_t num_documents = 0;  // pieces and paddings: the used entries of cu_seqlens, <= N
  int64_t max_seqlen = 0;     // tokens of the longest piece or padding
  int64_t num_unmasked = 0;   // positions of weight 1
};

// Fills a batch sequence by sequence: the pieces of the first, EndSequence, the pieces of the second, ..., Take.
class BatchBuilder {
 public:
  BatchBuilder(int64_t num_sequences, int64_t sequence_length);

  // `tokens` [n + 1]: inputs and, one later, targets. `loss_mask` [n + 1]: whether each token counts as a target.
  void AddPiece(absl::Span<const int32_t> tokens, absl::Span<const uint8_t> loss_mask);
  // What is still free in the sequence becomes one masked padding document.
  void EndSequence();
  MicroBatch Take();  // after the last EndSequence

 private:
  void EndDocument(int64_t length);

  MicroBatch batch_;
  int64_t sequence_length_;
  int64_t ended_ = 0;              // sequences
  std::vector<int32_t> begins_{0};  // of documents; the last one is where the next begins
};

}  // namespace weft
