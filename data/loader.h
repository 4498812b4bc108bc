// Loader: the micro-batch of any range of samples, as a pure function of (store, sequence length, seed).
//
// The trainer says who takes what: global batch b of G sequences is samples [b * G, (b + 1) * G), and each micro-batch
// of each data-parallel rank is a range of that. Token order never depends on the mesh.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "core/status.h"
#include "data/batch.h"
#include "data/packing.h"
#include "data/token_store_hdf5.h"

namespace weft {

class Loader {
 public:
  // Training: an endless stream of samples, each epoch in another order. Fails when the split is empty.
  static StatusOr<std::unique_ptr<Loader>> Training(std::shared_ptr<const TokenStore> store, int64_t sequence_length,
                                                    uint64_t seed);
  // Validation: samples 0 .. num_sequences() - 1 in the store's order; those after them are masked padding, so that
  // every batch has its full size. num_sequences() is 0 when nothing was split off.
  static StatusOr<std::unique_ptr<Loader>> Validation(std::shared_ptr<const TokenStore> store, int64_t sequence_length);

  // Samples [first_sample, first_sample + count), count * sequence_length tokens. Fails when the store turns out to be
  // damaged. From one thread at a time.
  StatusOr<MicroBatch> At(int64_t first_sample, int64_t count) const;
  // The same of one sample, into a batch with others: adds its pieces and ends the sequence.
  Status AddSequence(int64_t sample, BatchBuilder* builder) const;

  int64_t num_sequences() const { return plan_.num_sequences(); }  // samples an epoch
  int64_t num_tokens() const { return plan_.num_tokens(); }        // inputs an epoch, without padding
  int64_t sequence_length() const { return plan_.sequence_length; }

 private:
  enum class Order { kShuffled, kStored };
  Loader(std::shared_ptr<const TokenStore> store, PackingPlan plan, Order order, uint64_t seed);
  absl::Span<const TokenRange> PiecesOf(int64_t sample) const;  // empty for a sample of padding

  std::shared_ptr<const TokenStore> store_;
  PackingPlan plan_;
  Order order_;
  uint64_t seed_;
};

}  // namespace weft
