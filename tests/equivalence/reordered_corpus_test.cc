// Reordered corpora hold the same batches in another order.
#include "tests/equivalence/reordered_corpus.h"

#include <gtest/gtest.h>

#include "data/loader.h"
#include "tests/equivalence/uneven_run.h"

namespace weft {
namespace {

// The tokens and weights of each micro-batch of a step, one string each.
std::vector<std::string> MicroBatches(const std::string& corpus, const RunConfig& config, int64_t step, int64_t size) {
  const auto store = TokenStore::Open(corpus);
  EXPECT_TRUE(store.ok()) << store.status();
  const auto loader = Loader::Training(*store, config.data.sequence_length, static_cast<uint64_t>(config.seed));
  EXPECT_TRUE(loader.ok()) << loader.status();
  std::vector<std::string> contents;
  for (int64_t first = 0; first < *config.train_batch_size; first += size) {
    const StatusOr<MicroBatch> batch = (*loader)->At(step * *config.train_batch_size + first, size);
    EXPECT_TRUE(batch.ok()) << batch.status();
    std::string content(reinterpret_cast<const char*>(batch->tokens.data<int32_t>()), batch->tokens.num_bytes());
    content.append(reinterpret_cast<const char*>(batch->weights.data<float>()), batch->weights.num_bytes());
    contents.push_back(content);
  }
  return contents;
}

TEST(ReorderedCorpus, HoldsTheSameMicroBatchesInAnotherOrder) {
  const UnevenRun run;
  const RunConfig config = run.ConfigOf(OneRank("llama", false));
  const int64_t size = *config.train_batch_size / 4;
  for (int order : {0, 3, 17}) WriteReorderedCorpus(run.Path(std::to_string(order)), config, 80, size, order);
  for (const int64_t step : {0, 1, UnevenRun::kSteps - 1}) {
    std::vector<std::string> original = MicroBatches(run.Path("0"), config, step, size);
    std::sort(original.begin(), original.end());
    EXPECT_EQ(std::unique(original.begin(), original.end()), original.end());
    for (int order : {3, 17}) {
      std::vector<std::string> reordered = MicroBatches(run.Path(std::to_string(order)), config, step, size);
      EXPECT_NE(reordered, MicroBatches(run.Path("0"), config, step, size));
      std::sort(reordered.begin(), reordered.end());
      EXPECT_EQ(reordered, original) << "step " << step << ", order " << order;
    }
  }
}

}  // namespace
}  // namespace weft
