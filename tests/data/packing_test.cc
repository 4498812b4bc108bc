// The packing plan: covers each token once, overfills nothing, cuts only what is too long, wastes little.
#include "data/packing.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "core/rng.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

// Documents of random lengths, the way they lie in a store: one after another, each with an eos token.
std::vector<TokenRange> RandomDocuments(uint64_t seed, int64_t count, int64_t longest) {
  const Rng rng(seed, 0);
  std::vector<TokenRange> documents;
  int64_t begin = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t length = static_cast<int64_t>(rng.Below(i, longest + 1));
    documents.push_back({begin, length});
    begin += length + 1;
  }
  return documents;
}

TEST(PackingTest, CoversEveryTokenOnceAndOverfillsNothing) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const int64_t sequence_length = 1 + static_cast<int64_t>(seed * 7 % 97);
    const int64_t longest = 1 + static_cast<int64_t>(seed * 3 % 300);
    const auto documents = RandomDocuments(seed, static_cast<int64_t>(seed % 60), longest);
    const PackingPlan plan = PackDocuments(documents, sequence_length);
    std::map<int64_t, int> uses;  // token -> how often
    int64_t inputs = 0;
    for (const TokenRange& d : documents) {
      for (int64_t i = 0; i < d.length; ++i) uses[d.begin + i] = 0;
      inputs += d.length;
    }
    for (int64_t s = 0; s < plan.num_sequences(); ++s) {
      int64_t length = 0;
      for (const TokenRange& piece : plan.PiecesOf(s)) {
        length += piece.length;
        for (int64_t i = 0; i < piece.length; ++i) {
          ASSERT_EQ(uses.count(piece.begin + i), 1u) << "a token that is no input";
          ++uses[piece.begin + i];
        }
      }
      EXPECT_GT(length, 0);
      EXPECT_LE(length, sequence_length);
    }
    for (const auto& [token, count] : uses) ASSERT_EQ(count, 1) << "token " << token << " seed " << seed;
    EXPECT_EQ(plan.num_tokens(), inputs);
    EXPECT_TRUE(CheckPlan(plan, documents.empty() ? 0 : documents.back().begin + documents.back().length + 1).ok());
  }
}

TEST(PackingTest, CutsOnlyDocumentsLongerThanASequence) {
  const auto documents = RandomDocuments(5, 500, 200);
  const PackingPlan plan = PackDocuments(documents, 64);
  for (const TokenRange& d : documents) {
    const int64_t pieces = std::count_if(plan.pieces.begin(), plan.pieces.end(), [&](const TokenRange& p) {
      return p.begin >= d.begin && p.begin < d.begin + d.length;
    });
    EXPECT_EQ(pieces, (d.length + 63) / 64);
  }
}

TEST(PackingTest, FillsGapsBestFirst) {
  // 6 opens a sequence with 4 free, 5 one with 5 free; 4 goes where it fits exactly, 3 to the other.
  const std::vector<TokenRange> documents = {{0, 3}, {10, 6}, {20, 4}, {30, 5}};
  const PackingPlan plan = PackDocuments(documents, 10);
  ASSERT_EQ(plan.num_sequences(), 2);
  EXPECT_EQ(plan.pieces, (std::vector<TokenRange>{{10, 6}, {20, 4}, {30, 5}, {0, 3}}));
  EXPECT_EQ(plan.sequence_begins, (std::vector<int64_t>{0, 2, 4}));
}

TEST(PackingTest, ManySmallDocumentsLeaveLittlePadding) {
  const PackingPlan plan = PackDocuments(RandomDocuments(1, 5000, 400), 1024);
  const double filled = static_cast<double>(plan.num_tokens()) / static_cast<double>(plan.num_sequences() * 1024);
  EXPECT_GT(filled, 0.99);
}

TEST(PackingTest, RefusesPlansThatDoNotFitTheStore) {
  const PackingPlan good = PackDocuments(std::vector<TokenRange>{{0, 5}, {6, 5}}, 8);
  ASSERT_TRUE(CheckPlan(good, 12).ok());
  EXPECT_FALSE(CheckPlan(good, 11).ok());  // the last target would lie outside
  std::vector<PackingPlan> bad(7, good);
  bad[0].pieces[0].begin = -1;
  bad[1].pieces[0].length = 9;
  bad[2].pieces[1].length = 0;
  bad[3].sequence_begins.back() = 3;
  bad[4].sequence_begins = {0, 2};  // 10 tokens in a sequence of 8
  bad[5].sequence_begins = {0, 5, 2};
  bad[6].pieces[0].begin = INT64_MAX;
  for (size_t i = 0; i < bad.size(); ++i) EXPECT_FALSE(CheckPlan(bad[i], 12).ok()) << i;
}

}  // namespace
}  // namespace weft
