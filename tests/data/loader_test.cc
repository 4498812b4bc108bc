// The loader: every target of an epoch once, the same batches however ranges are cut, documents kept apart.
#include "data/loader.h"

#include <cstring>
#include <map>
#include <string>

#include "core/rng.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

constexpr int64_t kLength = 16;

class LoaderTest : public testing::Test {
 protected:
  void SetUp() override {
    auto writer = TokenStoreWriter::Create(folder_.Path("data.h5"), 1 << 20);
    ASSERT_TRUE(writer.ok());
    const Rng rng(2, 0);
    int32_t next = 0;  // every token is another, so that each can be traced
    for (int d = 0; d < 90; ++d) {
      std::vector<int32_t> tokens(2 + rng.Below(d, 40));
      for (int32_t& token : tokens) token = next++;
      ASSERT_TRUE((*writer)->Add(tokens, std::vector<uint8_t>(tokens.size(), 1)).ok());
      ending_.validation.push_back(d % 10 == 0);
    }
    ending_.sequence_length = kLength;
    ASSERT_TRUE((*writer)->Finish(ending_).ok());
    store_ = *TokenStore::Open(folder_.Path("data.h5"));
  }

  std::unique_ptr<Loader> Training(uint64_t seed) { return std::move(Loader::Training(store_, kLength, seed)).value(); }

  ScratchFolder folder_;
  TokenStoreWriter::Ending ending_;
  std::shared_ptr<const TokenStore> store_;
};

std::vector<int32_t> Tokens(const MicroBatch& batch) {
  return std::vector<int32_t>(batch.tokens.data<int32_t>(), batch.tokens.data<int32_t>() + batch.tokens.num_elements());
}

TEST_F(LoaderTest, AnEpochShowsEveryTargetOnce) {
  const auto loader = Training(1);
  auto batch = loader->At(0, loader->num_sequences());
  ASSERT_TRUE(batch.ok()) << batch.status();
  std::map<int32_t, int> targets;
  for (int64_t i = 0; i < batch->tokens.num_elements(); ++i) {
    if (batch->weights.data<float>()[i] == 0) continue;
    EXPECT_EQ(batch->targets.data<int32_t>()[i], batch->tokens.data<int32_t>()[i] + 1);
    ++targets[batch->targets.data<int32_t>()[i]];
  }
  int64_t expected = 0;
  for (int64_t d = 0; d < store_->num_documents(); ++d) {
    const TokenRange document = store_->Document(d);
    if (store_->SplitOf(d) == DataSplit::kValidation) continue;
    expected += document.length - 1;
    for (int64_t i = 1; i < document.length; ++i) ASSERT_EQ(targets[static_cast<int32_t>(document.begin + i)], 1);
  }
  EXPECT_EQ(batch->num_unmasked, expected);
  EXPECT_EQ(loader->num_tokens(), expected);
}

TEST_F(LoaderTest, BatchesDoNotDependOnHowRangesAreCut) {
  const auto loader = Training(5);
  const int64_t total = 3 * loader->num_sequences() + 5;  // over epochs
  const std::vector<int32_t> whole = Tokens(*loader->At(0, total));
  for (const int64_t cut : {1, 2, 3, 7}) {
    std::vector<int32_t> joined;
    for (int64_t first = 0; first < total; first += cut) {
      const std::vector<int32_t> part = Tokens(*loader->At(first, std::min(cut, total - first)));
      joined.insert(joined.end(), part.begin(), part.end());
    }
    EXPECT_EQ(joined, whole) << cut;
  }
  EXPECT_EQ(Tokens(*Training(5)->At(17, 4)), Tokens(*loader->At(17, 4)));
  EXPECT_NE(Tokens(*Training(6)->At(17, 4)), Tokens(*loader->At(17, 4)));
}

TEST_F(LoaderTest, DocumentsAreApart) {
  const auto loader = Training(1);
  auto batch = loader->At(0, 8);
  ASSERT_TRUE(batch.ok());
  const int32_t* begins = batch->cu_seqlens.data<int32_t>();
  const int32_t* tokens = batch->tokens.data<int32_t>();
  for (int64_t d = 0; d < batch->num_documents; ++d) {
    EXPECT_LT(begins[d], begins[d + 1]);
    EXPECT_LE(begins[d + 1] - begins[d], batch->max_seqlen);
    for (int32_t i = begins[d]; i < begins[d + 1]; ++i) {
      EXPECT_EQ(batch->positions.data<int32_t>()[i], i - begins[d]);
      if (batch->weights.data<float>()[i] != 0) {
        EXPECT_EQ(tokens[i], tokens[begins[d]] + i - begins[d]);
      }
    }
  }
  EXPECT_EQ(begins[batch->num_documents], 8 * kLength);
}

TEST_F(LoaderTest, ValidationEndsInPadding) {
  const auto loader = std::move(Loader::Validation(store_, kLength)).value();
  const int64_t n = loader->num_sequences();
  ASSERT_GT(n, 1);
  auto batch = loader->At(0, n + 3);
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->num_unmasked, loader->num_tokens());
  EXPECT_EQ(Tokens(*loader->At(n - 1, 1)), Tokens(*loader->At(n - 1, 1)));
  EXPECT_EQ(loader->At(n, 1)->num_unmasked, 0);
}

}  // namespace
}  // namespace weft
