// Filling of packed micro-batches.
#include "data/batch.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>

#include "core/check.h"

namespace weft {

BatchBuilder::BatchBuilder(int64_t num_sequences, int64_t sequence_length) : sequence_length_(sequence_length) {
  WEFT_CHECK(num_sequences > 0 && sequence_length > 0) << num_sequences << " x " << sequence_length;
  WEFT_CHECK_LE(num_sequences * sequence_length, std::numeric_limits<int32_t>::max());
  const Shape shape = {num_sequences * sequence_length};
  batch_.tokens = Tensor(shape, DType::kI32);
  batch_.targets = Tensor(shape, DType::kI32);
  batch_.weights = Tensor(shape, DType::kF32);
  batch_.positions = Tensor(shape, DType::kI32);
  batch_.num_sequences = num_sequences;
}

void BatchBuilder::AddPiece(absl::Span<const int32_t> tokens, absl::Span<const uint8_t> loss_mask) {
  const int64_t begin = begins_.back(), length = static_cast<int64_t>(tokens.size()) - 1;
  WEFT_CHECK(length > 0 && tokens.size() == loss_mask.size());
  WEFT_CHECK_LE(begin + length, (ended_ + 1) * sequence_length_);
  std::copy_n(tokens.begin(), length, batch_.tokens.data<int32_t>() + begin);
  std::copy_n(tokens.begin() + 1, length, batch_.targets.data<int32_t>() + begin);
  float* weights = batch_.weights.data<float>() + begin;
  for (int64_t i = 0; i < length; ++i) {
    const bool counts = loss_mask[i + 1] != 0;
    weights[i] = counts ? 1.0f : 0.0f;
    batch_.num_unmasked += counts;
  }
  EndDocument(length);
}

void BatchBuilder::EndSequence() {
  const int64_t begin = begins_.back(), length = ++ended_ * sequence_length_ - begin;
  if (length == 0) return;
  std::fill_n(batch_.tokens.data<int32_t>() + begin, length, 0);
  std::fill_n(batch_.targets.data<int32_t>() + begin, length, 0);
  std::fill_n(batch_.weights.data<float>() + begin, length, 0.0f);
  EndDocument(length);
}

void BatchBuilder::EndDocument(int64_t length) {
  int32_t* positions = batch_.positions.data<int32_t>() + begins_.back();
  std::iota(positions, positions + length, 0);
  begins_.push_back(static_cast<int32_t>(begins_.back() + length));
  batch_.max_seqlen = std::max(batch_.max_seqlen, length);
  ++batch_.num_documents;
}

MicroBatch BatchBuilder::Take() {
  WEFT_CHECK_EQ(ended_, batch_.num_sequences);
  const int64_t entries = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(batch_.num_documents)));
  batch_.cu_seqlens = Tensor({entries + 1}, DType::kI32);
  int32_t* cu_seqlens = batch_.cu_seqlens.data<int32_t>();
  std::copy(begins_.begin(), begins_.end(), cu_seqlens);
  std::fill(cu_seqlens + begins_.size(), cu_seqlens + entries + 1, begins_.back());
  return std::move(batch_);
}

}  // namespace weft
