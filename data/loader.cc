// Samples to sequences to batches.
#include "data/loader.h"

#include <utility>
#include <vector>

#include "core/check.h"
#include "data/sampler.h"

namespace weft {

StatusOr<std::unique_ptr<Loader>> Loader::Training(std::shared_ptr<const TokenStore> store, int64_t sequence_length,
                                                   uint64_t seed) {
  WEFT_ASSIGN_OR_RETURN(PackingPlan plan, store->Plan(DataSplit::kTrain, sequence_length));
  if (plan.num_sequences() == 0) return UserError(store->path(), ": there is nothing to train on in this store");
  return std::unique_ptr<Loader>(new Loader(std::move(store), std::move(plan), Order::kShuffled, seed));
}

StatusOr<std::unique_ptr<Loader>> Loader::Validation(std::shared_ptr<const TokenStore> store, int64_t sequence_length) {
  WEFT_ASSIGN_OR_RETURN(PackingPlan plan, store->Plan(DataSplit::kValidation, sequence_length));
  return std::unique_ptr<Loader>(new Loader(std::move(store), std::move(plan), Order::kStored, 0));
}

Loader::Loader(std::shared_ptr<const TokenStore> store, PackingPlan plan, Order order, uint64_t seed)
    : store_(std::move(store)), plan_(std::move(plan)), order_(order), seed_(seed) {}

absl::Span<const TokenRange> Loader::PiecesOf(int64_t sample) const {
  if (order_ == Order::kShuffled) return plan_.PiecesOf(SequenceAt(seed_, num_sequences(), sample));
  return sample < num_sequences() ? plan_.PiecesOf(sample) : absl::Span<const TokenRange>();
}

Status Loader::AddSequence(int64_t sample, BatchBuilder* builder) const {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> loss_mask;
  for (const TokenRange& piece : PiecesOf(sample)) {
    tokens.resize(piece.length + 1);
    loss_mask.resize(piece.length + 1);
    const TokenRange with_last_target = {piece.begin, piece.length + 1};
    WEFT_RETURN_IF_ERROR(store_->Read(with_last_target, absl::MakeSpan(tokens), absl::MakeSpan(loss_mask)));
    builder->AddPiece(tokens, loss_mask);
  }
  builder->EndSequence();
  return absl::OkStatus();
}

StatusOr<MicroBatch> Loader::At(int64_t first_sample, int64_t count) const {
  WEFT_CHECK(first_sample >= 0 && count > 0) << first_sample << ", " << count;
  BatchBuilder builder(count, sequence_length());
  for (int64_t sample = first_sample; sample < first_sample + count; ++sample) {
    WEFT_RETURN_IF_ERROR(AddSequence(sample, &builder));
  }
  return builder.Take();
}

}  // namespace weft
