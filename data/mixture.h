// Mixture: the data of a run, drawn from one token store or from several in proportion to their weights.
//
// Of every so many training samples each source gives its weight (data/sampler.h, SourceAt); within a source an epoch is
// a permutation of its sequences, so each of them comes once before any comes twice. Which sample comes when is a pure
// function of (seed, number of the sample): a resumed run has nothing to restore, and the mesh does not matter. With one
// source it is that source's own order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/fields.h"
#include "core/status.h"
#include "data/batch.h"
#include "data/loader.h"
#include "data/token_store_hdf5.h"

namespace weft {

struct DataSource {
  std::string path;    // token store
  int64_t weight = 1;  // samples (sequences) out of every sum of all weights
  void VisitFields(FieldVisitor& v) {
    v.Field("path", path, "token store written by `weft data prepare`");
    v.Field("weight", weight, "its share: of every sum of all weights so many sequences come from it");
  }
};

class Mixture {
 public:
  // Opens all stores. `sources` is not empty, weights are positive and their sum fits 31 bits. Fails where a store cannot
  // be used, has nothing to train on, has another tokenizer than the first, or is of another table than one before it.
  static StatusOr<std::unique_ptr<Mixture>> Open(absl::Span<const DataSource> sources, int64_t sequence_length,
                                                 uint64_t seed);

  // Training samples [first_sample, first_sample + count). As Loader::At.
  StatusOr<MicroBatch> TrainingAt(int64_t first_sample, int64_t count) const;
  // A source's validation split. As Loader::Validation.
  const Loader& validation(size_t source) const { return *sources_[source].validation; }
  bool HasValidation() const;  // any source

  size_t num_sources() const { return sources_.size(); }
  // The first source, whose tokenizer all have.
  const TokenStore& first_store() const { return *sources_[0].store; }
  // How rows of a table became text, of the sources that are tables; empty where none is.
  const std::string& table_yaml() const { return table_yaml_; }
  // Which data this is, wherever it lies, and how it is mixed: of one source its digest, else SHA-256 over all digests and
  // weights, hexadecimal.
  const std::string& digest() const { return digest_; }
  std::string Names() const;  // "a.h5", "a.h5, b.h5"
  // "120 sequences an epoch"; "3 of 4 from a.h5 (120 an epoch), 1 of 4 from b.h5 (50 an epoch)".
  std::string Describe() const;

 private:
  struct Source {
    std::shared_ptr<const TokenStore> store;
    std::unique_ptr<Loader> training, validation;
  };
  Mixture() = default;
  Status Add(const DataSource& source, int64_t sequence_length, uint64_t seed);
  Status AddTable(const TokenStore& store);

  std::vector<Source> sources_;
  std::vector<int64_t> weights_;  // [sources]
  int64_t sequence_length_ = 0;
  std::string digest_;
  std::string table_yaml_;
};

}  // namespace weft
