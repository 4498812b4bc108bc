// Several loaders behind one numbering of samples (see mixture.h).
#include "data/mixture.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/check.h"
#include "core/sha256.h"
#include "data/sampler.h"

namespace weft {
namespace {

Status CheckSameTokenizer(const TokenStore& first, const TokenStore& store) {
  if (store.tokenizer_json() == first.tokenizer_json() && store.tokenizer_config_json() == first.tokenizer_config_json()) {
    return absl::OkStatus();
  }
  return UserError(store.path(), " was tokenised with another tokenizer, or another chat template, than ", first.path(),
                   "; prepare all sources of a run with the same --tokenizer and --template");
}

}  // namespace

Status Mixture::Add(const DataSource& source, int64_t sequence_length, uint64_t seed) {
  Source opened;
  WEFT_ASSIGN_OR_RETURN(opened.store, TokenStore::Open(source.path));
  if (!sources_.empty()) WEFT_RETURN_IF_ERROR(CheckSameTokenizer(first_store(), *opened.store));
  WEFT_RETURN_IF_ERROR(AddTable(*opened.store));
  WEFT_ASSIGN_OR_RETURN(opened.training, Loader::Training(opened.store, sequence_length, seed));
  WEFT_ASSIGN_OR_RETURN(opened.validation, Loader::Validation(opened.store, sequence_length));
  sources_.push_back(std::move(opened));
  weights_.push_back(source.weight);
  return absl::OkStatus();
}

// A model carries one.
Status Mixture::AddTable(const TokenStore& store) {
  if (store.table_yaml().empty()) return absl::OkStatus();
  if (!table_yaml_.empty() && store.table_yaml() != table_yaml_) {
    return UserError(store.path(), " was rendered by another table's specification, or one that was fitted to other rows, "
                     "than a source before it: prepare it with --table and that source's store");
  }
  table_yaml_ = store.table_yaml();
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<Mixture>> Mixture::Open(absl::Span<const DataSource> sources, int64_t sequence_length,
                                                 uint64_t seed) {
  WEFT_CHECK(!sources.empty());
  std::unique_ptr<Mixture> mixture(new Mixture);
  mixture->sequence_length_ = sequence_length;
  std::string digests = "weft sources";
  for (const DataSource& source : sources) {
    WEFT_CHECK_GT(source.weight, 0);
    WEFT_RETURN_IF_ERROR(mixture->Add(source, sequence_length, seed));
    StrAppend(&digests, "\n", source.weight, " ", mixture->sources_.back().store->digest());
  }
  mixture->digest_ = sources.size() == 1 ? mixture->first_store().digest() : Sha256::Of(digests);
  return mixture;
}

StatusOr<MicroBatch> Mixture::TrainingAt(int64_t first_sample, int64_t count) const {
  WEFT_CHECK(first_sample >= 0 && count > 0) << first_sample << ", " << count;
  BatchBuilder builder(count, sequence_length_);
  for (int64_t sample = first_sample; sample < first_sample + count; ++sample) {
    const SourceSample drawn = SourceAt(weights_, sample);
    WEFT_RETURN_IF_ERROR(sources_[drawn.source].training->AddSequence(drawn.sample, &builder));
  }
  return builder.Take();
}

bool Mixture::HasValidation() const {
  return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) { return source.validation->num_sequences() > 0; });
}

std::string Mixture::Names() const {
  std::string names;
  for (const Source& source : sources_) StrAppend(&names, names.empty() ? "" : ", ", source.store->path());
  return names;
}

std::string Mixture::Describe() const {
  if (num_sources() == 1) return StrCat(sources_[0].training->num_sequences(), " sequences an epoch");
  const int64_t total = std::accumulate(weights_.begin(), weights_.end(), int64_t{0});
  std::string text;
  for (size_t i = 0; i < sources_.size(); ++i) {
    StrAppend(&text, i == 0 ? "" : ", ", weights_[i], " of ", total, " from ", sources_[i].store->path(), " (",
              sources_[i].training->num_sequences(), " an epoch)");
  }
  return text;
}

}  // namespace weft
