// Documents laid where the sampler will look for them (see reordered_corpus.h).
#include "tests/equivalence/reordered_corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/rng.h"
#include "data/sampler.h"
#include "data/token_store_hdf5.h"

namespace weft {
namespace {

constexpr int64_t kNumValidationDocuments = 30;

struct Document {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> mask;
};

// Mostly a small cycle, now and then a jump; every third document is a prompt whose end alone carries loss.
Document MakeDocument(int64_t number, int64_t length, int32_t vocab_size) {
  const Rng rng(6, StreamKey("reordered corpus"));
  auto draw = static_cast<uint64_t>(number) << 20;
  const int64_t first_learnt = number % 3 == 0 ? length * 7 / 8 : 1;
  Document document = {{static_cast<int32_t>(rng.Below(draw++, static_cast<uint64_t>(vocab_size)))}, {0}};
  for (int64_t i = 1; i < length; ++i) {
    const bool jumps = rng.Below(draw++, 8) == 0;
    document.tokens.push_back(jumps ? static_cast<int32_t>(rng.Below(draw++, static_cast<uint64_t>(vocab_size)))
                                    : (document.tokens.back() * 3 + 1) % 13);
    document.mask.push_back(i >= first_learnt ? 1 : 0);
  }
  return document;
}

// The order-th permutation of 0 .. n - 1, counted in lexicographic order.
std::vector<int64_t> Permutation(int64_t n, int order) {
  std::vector<int64_t> permutation(static_cast<size_t>(n));
  std::iota(permutation.begin(), permutation.end(), 0);
  for (int i = 0; i < order; ++i) std::next_permutation(permutation.begin(), permutation.end());
  return permutation;
}

}  // namespace

void WriteReorderedCorpus(const std::string& path, const RunConfig& config, int32_t vocab_size,
                          int64_t sequences_per_micro_batch, int order) {
  const int64_t batch_size = *config.train_batch_size, num_documents = config.steps * batch_size;
  const std::vector<int64_t> permutation = Permutation(batch_size / sequences_per_micro_batch, order);
  std::vector<int64_t> document_at(static_cast<size_t>(num_documents));  // by place in the store
  for (int64_t sample = 0; sample < num_documents; ++sample) {
    const int64_t place = SequenceAt(static_cast<uint64_t>(config.seed), num_documents, sample);
    const int64_t in_batch = sample % batch_size, micro_batch = in_batch / sequences_per_micro_batch;
    document_at[static_cast<size_t>(place)] = sample - in_batch + in_batch % sequences_per_micro_batch +
                                              permutation[static_cast<size_t>(micro_batch)] * sequences_per_micro_batch;
  }
  std::vector<uint8_t> validation(document_at.size(), 0);
  for (int64_t i = 0; i < kNumValidationDocuments; ++i) document_at.push_back(num_documents + i);
  validation.resize(document_at.size(), 1);
  auto writer = TokenStoreWriter::Create(path, vocab_size);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const int64_t number : document_at) {
    const Document document = MakeDocument(number, config.data.sequence_length + 1, vocab_size);
    ASSERT_TRUE((*writer)->Add(document.tokens, document.mask).ok());
  }
  const Status finished = (*writer)->Finish({.validation = std::move(validation), .sequence_length = config.data.sequence_length,
                                             .tokenizer_json = "{}", .tokenizer_config_json = "", .provenance_json = "{}"});
  ASSERT_TRUE(finished.ok()) << finished;
}

}  // namespace weft
