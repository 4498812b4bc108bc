// How pieces of documents and padding lie in a batch: tokens, targets, positions and cumulative lengths.
#include "data/batch.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;

template <typename T>
std::vector<T> Values(const Tensor& tensor) {
  return std::vector<T>(tensor.data<T>(), tensor.data<T>() + tensor.num_elements());
}

TEST(BatchTest, LaysPiecesAndPaddingOut) {
  BatchBuilder builder(2, 6);
  builder.AddPiece({10, 11, 12, 13}, {1, 1, 1, 1});
  builder.AddPiece({20, 21}, {1, 0});
  builder.EndSequence();
  builder.AddPiece({30, 31, 32, 33, 34, 35, 36}, {0, 0, 1, 1, 1, 1, 1});
  builder.EndSequence();
  const MicroBatch batch = builder.Take();
  EXPECT_THAT(Values<int32_t>(batch.tokens), ElementsAre(10, 11, 12, 20, 0, 0, 30, 31, 32, 33, 34, 35));
  EXPECT_THAT(Values<int32_t>(batch.targets), ElementsAre(11, 12, 13, 21, 0, 0, 31, 32, 33, 34, 35, 36));
  EXPECT_THAT(Values<float>(batch.weights), ElementsAre(1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1));
  EXPECT_THAT(Values<int32_t>(batch.positions), ElementsAre(0, 1, 2, 0, 0, 1, 0, 1, 2, 3, 4, 5));
  EXPECT_THAT(Values<int32_t>(batch.cu_seqlens), ElementsAre(0, 3, 4, 6, 12));
  EXPECT_EQ(batch.num_documents, 4);
  EXPECT_EQ(batch.max_seqlen, 6);
  EXPECT_EQ(batch.num_unmasked, 8);
}

TEST(BatchTest, UnusedEntriesRepeatTheEnd) {
  BatchBuilder builder(1, 4);
  builder.AddPiece({1, 2}, {1, 1});
  builder.AddPiece({3, 4}, {1, 1});
  builder.EndSequence();
  EXPECT_THAT(Values<int32_t>(builder.Take().cu_seqlens), ElementsAre(0, 1, 2, 4, 4));
}

TEST(BatchTest, AnEmptySequenceIsAllPadding) {
  BatchBuilder builder(2, 3);
  builder.EndSequence();
  builder.EndSequence();
  const MicroBatch batch = builder.Take();
  EXPECT_THAT(Values<int32_t>(batch.cu_seqlens), ElementsAre(0, 3, 6));
  EXPECT_EQ(batch.num_unmasked, 0);
}

}  // namespace
}  // namespace weft
