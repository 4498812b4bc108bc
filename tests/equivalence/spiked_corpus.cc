// Sequences laid where the sampler will look for them (see spiked_corpus.h).
#include "tests/equivalence/spiked_corpus.h"

#include <gtest/gtest.h>

#include "core/rng.h"
#include "core/str_cat.h"
#include "data/sampler.h"
#include "data/token_store_hdf5.h"

namespace weft {
namespace {

// Easy is a cycle of a few tokens, begun anywhere; an outlier is drawn from the rest of the vocabulary.
std::vector<int32_t> MakeSequence(int batch, int64_t number, int64_t length, int32_t vocab_size) {
  constexpr int32_t kCycle = 13;
  const Rng rng(9, StreamKey(StrCat("batch ", batch, " sequence ", number)));
  uint64_t draw = 0;
  std::vector<int32_t> tokens = {static_cast<int32_t>(rng.Below(draw++, kCycle))};
  while (static_cast<int64_t>(tokens.size()) < length) {
    tokens.push_back(batch == kOutlier ? kCycle + static_cast<int32_t>(rng.Below(draw++, static_cast<uint64_t>(vocab_size - kCycle)))
                                       : (tokens.back() * 3 + 1) % kCycle);
  }
  return tokens;
}

}  // namespace

void WriteSpikedCorpus(const std::string& path, const RunConfig& config, int32_t vocab_size, const std::vector<int>& batches) {
  const int64_t batch_size = *config.train_batch_size, num_sequences = static_cast<int64_t>(batches.size()) * batch_size;
  const int64_t length = config.data.sequence_length + 1;
  std::vector<int64_t> sample_at(static_cast<size_t>(num_sequences));  // by place in the store
  for (int64_t sample = 0; sample < num_sequences; ++sample) {
    sample_at[static_cast<size_t>(SequenceAt(static_cast<uint64_t>(config.seed), num_sequences, sample))] = sample;
  }
  auto writer = TokenStoreWriter::Create(path, vocab_size);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const int64_t sample : sample_at) {
    const int batch = batches[static_cast<size_t>(sample / batch_size)];
    const std::vector<uint8_t> mask(static_cast<size_t>(length), batch == kWithoutLoss ? 0 : 1);
    ASSERT_TRUE((*writer)->Add(MakeSequence(batch, sample % batch_size, length, vocab_size), mask).ok());
  }
  const Status finished = (*writer)->Finish({.validation = std::vector<uint8_t>(sample_at.size(), 0),
                                             .sequence_length = config.data.sequence_length,
                                             .tokenizer_json = "{}", .tokenizer_config_json = "", .provenance_json = "{}"});
  ASSERT_TRUE(finished.ok()) << finished;
}

}  // namespace weft
