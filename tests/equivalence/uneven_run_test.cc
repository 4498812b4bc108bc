// The data is as uneven as the matrix needs it: ranks and micro-batches get very different shares of the loss.
#include "tests/equivalence/uneven_run.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/loader.h"

namespace weft {
namespace {

// Unmasked tokens of each of `parts` equal runs of the global batch of `step` (from 0).
std::vector<int64_t> UnmaskedTokens(const Loader& loader, int64_t step, int64_t batch_size, int64_t parts) {
  std::vector<int64_t> counts;
  for (int64_t part = 0; part < parts; ++part) {
    const StatusOr<MicroBatch> batch = loader.At(step * batch_size + part * batch_size / parts, batch_size / parts);
    EXPECT_TRUE(batch.ok()) << batch.status();
    counts.push_back(batch->num_unmasked);
  }
  return counts;
}

TEST(UnevenRun, SharesItsLossUnevenly) {
  const UnevenRun run;
  const RunConfig config = run.ConfigOf(OneRank("llama", false));
  const auto store = TokenStore::Open(run.corpus());
  ASSERT_TRUE(store.ok()) << store.status();
  const auto loader = Loader::Training(*store, config.data.sequence_length, static_cast<uint64_t>(config.seed));
  ASSERT_TRUE(loader.ok()) << loader.status();
  for (const int64_t parts : {2, 3, 8}) {  // dp2, dp3, dp2 with four micro-batches each
    double most_uneven = 1;
    for (int64_t step = 0; step < config.steps; ++step) {
      const std::vector<int64_t> counts = UnmaskedTokens(**loader, step, *config.train_batch_size, parts);
      const auto [fewest, most] = std::minmax_element(counts.begin(), counts.end());
      most_uneven = std::max(most_uneven, static_cast<double>(*most) / static_cast<double>(std::max<int64_t>(*fewest, 1)));
    }
    EXPECT_GT(most_uneven, 1.5) << "over " << parts << " parts";
  }
}

}  // namespace
}  // namespace weft
