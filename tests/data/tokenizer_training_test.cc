// Learning a byte-level BPE: against the definition, counted anew for every merge, and as a verb's work.
#include "data/tokenizer_training.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/rng.h"
#include "data/bpe_training.h"
#include "data/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/random_text.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// One token more: the most frequent pair over all pieces, of equals the smallest; false where none is found twice.
bool LearnOneByDefinition(std::vector<std::pair<std::vector<int>, int64_t>>* pieces, LearntBpe* bpe) {
  std::map<std::pair<int, int>, int64_t> counts;
  for (const auto& [symbols, count] : *pieces) {
    for (size_t i = 0; i + 1 < symbols.size(); ++i) counts[{symbols[i], symbols[i + 1]}] += count;
  }
  std::pair<int, int> best;
  int64_t best_count = 1;
  for (const auto& [pair, count] : counts) {
    if (count > best_count) std::tie(best, best_count) = std::tie(pair, count);
  }
  if (best_count < 2) return false;
  const std::string bytes = bpe->tokens[best.first] + bpe->tokens[best.second];
  const int id = static_cast<int>(std::find(bpe->tokens.begin(), bpe->tokens.end(), bytes) - bpe->tokens.begin());
  if (id == static_cast<int>(bpe->tokens.size())) bpe->tokens.push_back(bytes);
  if (std::find(bpe->merges.begin(), bpe->merges.end(), best) == bpe->merges.end()) bpe->merges.push_back(best);
  for (auto& [symbols, count] : *pieces) {
    std::vector<int> merged;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here = i + 1 < symbols.size() && symbols[i] == best.first && symbols[i + 1] == best.second;
      merged.push_back(here ? id : symbols[i]);
      if (here) ++i;
    }
    symbols = merged;
  }
  return true;
}

TEST(BpeTrainingTest, FollowsTheDefinition) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const Rng rng(seed, 5);
    PieceCounts counts;
    uint64_t draw = 0;
    for (int piece = 0; piece < 40; ++piece) {
      std::string text;
      for (uint64_t i = rng.Below(draw++, 9) + 1; i > 0; --i) text.push_back(static_cast<char>('a' + rng.Below(draw++, 3)));
      counts[text] += static_cast<int64_t>(rng.Below(draw++, 5)) + 1;
    }
    const LearntBpe learnt = LearnBpe(counts, 256 + 40);
    LearntBpe expected;
    for (int byte = 0; byte < 256; ++byte) expected.tokens.emplace_back(1, static_cast<char>(byte));
    std::vector<std::pair<std::vector<int>, int64_t>> pieces;
    for (const auto& [text, count] : counts) pieces.push_back({std::vector<int>(text.begin(), text.end()), count});
    while (expected.tokens.size() < 256 + 40 && LearnOneByDefinition(&pieces, &expected)) {
    }
    ASSERT_EQ(learnt.merges, expected.merges) << seed;
    ASSERT_EQ(learnt.tokens, expected.tokens) << seed;
  }
}

TEST(BpeTrainingTest, CountsAndBreaksTies) {
  const LearntBpe learnt = LearnBpe({{"abab", 3}, {"cd", 6}, {"x", 100}}, 300);
  EXPECT_THAT(learnt.merges, ElementsAre(Pair('a', 'b'), Pair('c', 'd'), Pair(256, 256)));  // 6 each, then 3
  EXPECT_EQ(learnt.tokens.back(), "abab");
}

TEST(TokenizerTrainingTest, WritesAFileThatGivesEveryTextBack) {
  const ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "The cat sat on the mat, number " + std::to_string(i * 7919) + ".\n";
  for (const char* to : {"first", "second"}) {
    ASSERT_TRUE(TrainTokenizer({{folder.Write("text.txt", text)}, folder.Path(to), 320}).ok());
  }
  EXPECT_EQ(*ReadFile(folder.Path("first/tokenizer.json")), *ReadFile(folder.Path("second/tokenizer.json")));
  auto tokenizer = Tokenizer::Load(folder.Path("first"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), 320);
  EXPECT_EQ((*tokenizer)->bos_id(), 304);
  EXPECT_EQ((*tokenizer)->eos_id(), 305);
  EXPECT_THAT((*tokenizer)->Encode(" cat"), ElementsAre(304, *(*tokenizer)->IdOf("Ġcat")));
  EXPECT_LT((*tokenizer)->Encode(text).size(), text.size() / 2);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    ASSERT_EQ((*tokenizer)->Decode((*tokenizer)->Encode(RandomText(seed))), RandomText(seed));
  }
}

TEST(TokenizerTrainingTest, SaysWhatItCannotDo) {
  const ScratchFolder folder;
  const std::string text = folder.Write("text.txt", "abab cdcd");
  const auto message = [&](const TokenizerTrainingOptions& options) {
    const Status status = TrainTokenizer(options);
    EXPECT_EQ(ExitCode(status), 2) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message({{text}, folder.Path("out"), 1000}), HasSubstr("the inputs give 27"));
  EXPECT_THAT(message({{text}, folder.Path("out"), 100}), HasSubstr("not between 272"));
  EXPECT_THAT(message({{text}, "", 300}), HasSubstr("to: name the folder"));
  EXPECT_THAT(message({{folder.Write("empty.txt", "")}, folder.Path("out"), 300}), HasSubstr("no text"));
  EXPECT_FALSE(std::filesystem::exists(folder.Path("out")));
}

}  // namespace
}  // namespace weft
