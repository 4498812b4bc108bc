// DeepSpeed's table of batch keys, row by row, against all small cases, and the messages.
#include "trainer/batch_size.h"

#include <gtest/gtest.h>

#include <limits>

namespace weft {
namespace {

std::string Resolve(std::optional<int64_t> train, std::optional<int64_t> micro, std::optional<int64_t> accumulation,
                    int64_t dp) {
  const StatusOr<BatchSize> b = ResolveBatchSize({train, micro, accumulation}, dp);
  if (!b.ok()) return std::string(b.status().message());
  return StrCat(*b->train_batch_size, " = ", *b->train_micro_batch_size_per_gpu, " * ",
                *b->gradient_accumulation_steps);
}

TEST(BatchSize, FollowsTheTable) {
  const std::optional<int64_t> none;
  EXPECT_EQ(Resolve(32, 4, 2, 4), "32 = 4 * 2");
  EXPECT_EQ(Resolve(32, 4, none, 4), "32 = 4 * 2");
  EXPECT_EQ(Resolve(32, none, 2, 4), "32 = 4 * 2");
  EXPECT_EQ(Resolve(none, 4, 2, 4), "32 = 4 * 2");
  EXPECT_EQ(Resolve(32, none, none, 4), "32 = 8 * 1");
  EXPECT_EQ(Resolve(none, 4, none, 4), "16 = 4 * 1");
}

TEST(BatchSize, NamesWhatDoesNotFit) {
  const std::optional<int64_t> none;
  EXPECT_EQ(Resolve(none, none, none, 4),
            "train_batch_size: not given, nor is train_micro_batch_size_per_gpu; one of them is needed");
  EXPECT_EQ(Resolve(none, none, 2, 4),
            "train_batch_size: not given, nor is train_micro_batch_size_per_gpu; one of them is needed");
  EXPECT_EQ(Resolve(32, 4, 3, 4),
            "train_batch_size: 32 is not train_micro_batch_size_per_gpu 4 * gradient_accumulation_steps 3 "
            "* 4 data-parallel replicas");
  EXPECT_EQ(Resolve(10, none, none, 4),
            "train_batch_size: 10 is not train_micro_batch_size_per_gpu 2 (derived) * "
            "gradient_accumulation_steps 1 (derived) * 4 data-parallel replicas");
  EXPECT_EQ(Resolve(4, 8, none, 2),
            "train_batch_size: 4 is not train_micro_batch_size_per_gpu 8 * gradient_accumulation_steps 0 "
            "(derived) * 2 data-parallel replicas");
  EXPECT_EQ(Resolve(0, none, none, 1), "train_batch_size: expected a positive number, got 0");
  EXPECT_EQ(Resolve(8, -2, none, 1), "train_micro_batch_size_per_gpu: expected a positive number, got -2");
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Resolve(none, most, most, 4),
            "train_batch_size: train_micro_batch_size_per_gpu * gradient_accumulation_steps * 4 is too large");
  EXPECT_NE(Resolve(most, most, most, 4).find("is not"), std::string::npos);
}

TEST(BatchSize, EverySmallCaseIsWholeOrRefused) {
  int num_whole = 0;
  for (int64_t dp = 1; dp <= 4; ++dp) {
    for (int64_t keys = 1; keys < 8; ++keys) {
      for (int64_t code = 0; code < 512; ++code) {
        const int64_t t = code % 8 + 1, m = code / 8 % 8 + 1, g = code / 64 + 1;
        const BatchSize given = {keys & 1 ? std::optional(t) : std::nullopt, keys & 2 ? std::optional(m) : std::nullopt,
                                 keys & 4 ? std::optional(g) : std::nullopt};
        const StatusOr<BatchSize> b = ResolveBatchSize(given, dp);
        if (!b.ok()) continue;
        ++num_whole;
        EXPECT_EQ(*b->train_batch_size, *b->train_micro_batch_size_per_gpu * *b->gradient_accumulation_steps * dp);
        EXPECT_TRUE(!given.train_batch_size || *given.train_batch_size == *b->train_batch_size);
        EXPECT_TRUE(!given.gradient_accumulation_steps ||
                    *given.gradient_accumulation_steps == *b->gradient_accumulation_steps);
      }
    }
  }
  EXPECT_GT(num_whole, 1000);
}

}  // namespace
}  // namespace weft
