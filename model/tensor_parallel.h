// TensorParallel: what the ranks that share every layer exchange. Projections are cut over them (Shoeybi et al.,
// "Megatron-LM", 2019); between the projections each rank has its share of the tokens (sequence parallelism, Korthikanti
// et al., "Reducing Activation Recomputation in Large Transformer Models", 2022):
//
//   [T/tp, D] norm, residual  --Gather-->  [T, D] -> projections cut over heads, ffn, vocabulary -> [T, D] partial sums
//                                                                     --ReduceScatter-->  [T/tp, D] norm, residual
//
// Everything is in the order of the compute stream. One rank alone exchanges and copies nothing.
#pragma once

#include "core/arena.h"
#include "core/status.h"
#include "core/stream.h"
#include "model/config.h"
#include "parallel/communicator.h"

namespace weft {

class TensorParallel {
 public:
  TensorParallel() = default;  // one rank alone
  // Scratch for `num_tokens` = T tokens of `width` = D elements is taken from `arena`; `communicator` (null: alone) and
  // `arena` outlive this.
  TensorParallel(Communicator* communicator, Arena& arena, int64_t num_tokens, int64_t width, DType dtype);

  int size() const { return communicator_ == nullptr ? 1 : communicator_->size(); }
  int rank() const { return communicator_ == nullptr ? 0 : communicator_->rank(); }

  // part [T/tp, D]: this rank's tokens. Returns all, [T, D], in `whole` (default: the shared scratch, where they stay
  // until the next call of Gather or PartialSums). Alone: `part` itself.
  ConstTensorView Gather(Stream& stream, ConstTensorView part, TensorView whole = {}) const;

  // Where a product [T, D] is to be written whose sum over the ranks ReduceScatter will put into `part` [T/tp, D]: the
  // shared scratch. Alone: `part` itself.
  TensorView PartialSums(TensorView part) const { return size() == 1 ? part : whole_; }
  // part := this rank's tokens of the sum. `partial` [T, D] is what PartialSums gave and was written since.
  void ReduceScatter(Stream& stream, ConstTensorView partial, TensorView part) const;

  // parts [tp, ...] := every rank's `mine` [...], for small statistics.
  void GatherStatistics(Stream& stream, ConstTensorView mine, TensorView parts) const;

 private:
  Communicator* communicator_ = nullptr;
  TensorView whole_;  // [T, D] compute dtype; empty when alone
};

// The model as one of `tp` ranks computes it: that share of heads, ffn and vocabulary.
ModelConfig LocalConfig(const ModelConfig& config, int tp);

// Whether `tp` ranks can share each layer of the model and micro-batches of `num_tokens` tokens; the error names all that
// does not divide. Fewer key-value heads than ranks are refused: copies of one head would have to be kept equal.
Status CheckTensorParallel(const ModelConfig& config, int tp, int64_t num_tokens);

}  // namespace weft
