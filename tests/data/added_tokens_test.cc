// Added tokens: many are found as few would be, and cost neither loading nor encoding.
#include "data/added_tokens.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/rng.h"
#include "data/tokenizer.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;

// Up to `most` letters out of few, so that tokens begin each other, and come twice.
std::string RandomWord(uint64_t seed, uint64_t index, uint64_t most) {
  const Rng rng(seed, index);
  std::string word(rng.Below(0, most + 1), ' ');
  for (size_t i = 0; i < word.size(); ++i) word[i] = "ab <"[rng.Below(i + 1, 4)];
  return word;
}

// What a text is cut into, by trying every token at every place.
std::vector<std::pair<std::string, int32_t>> CutOneByOne(const std::vector<AddedToken>& tokens, const std::string& text,
                                                         bool allow_special) {
  std::vector<std::pair<std::string, int32_t>> segments;
  std::string between;
  for (size_t i = 0; i < text.size();) {
    const AddedToken* longest = nullptr;
    for (const AddedToken& token : tokens) {
      const bool fits = text.compare(i, token.content.size(), token.content) == 0 && (allow_special || !token.special);
      if (fits && (longest == nullptr || token.content.size() > longest->content.size())) longest = &token;
    }
    if (longest == nullptr) {
      between += text[i++];
      continue;
    }
    if (!between.empty()) segments.push_back({std::exchange(between, ""), -1});
    segments.push_back({longest->content, longest->id});
    i += longest->content.size();
  }
  if (!between.empty()) segments.push_back({between, -1});
  return segments;
}

TEST(AddedTokensTest, FindsWhatTryingAllOfThemFinds) {
  const Json null_value;
  const auto normalizer = ParseNormalizer(JsonView(null_value, "normalizer:"));
  ASSERT_TRUE(normalizer.ok());
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Json list = Json::array();
    for (uint64_t i = 0; i < 1 + seed % 40; ++i) {
      list.push_back({{"id", i}, {"content", "a" + RandomWord(seed, i, 5)}, {"special", Rng(seed, 500 + i).Below(0, 2) == 0},
                      {"normalized", false}});
      if (i % 3 == 0) list.back()["content"] = "<" + RandomWord(seed, i, 6);
    }
    const auto tokens = AddedTokens::Parse(JsonView(list, "test:"), **normalizer);
    ASSERT_TRUE(tokens.ok()) << tokens.status();
    const std::string text = RandomWord(seed, 5000, 200);
    for (const bool allow_special : {true, false}) {
      std::vector<std::pair<std::string, int32_t>> found;
      for (const Segment& segment : tokens->CutRaw(text, allow_special)) {
        found.push_back({std::string(segment.text), segment.id});
      }
      EXPECT_EQ(found, CutOneByOne(tokens->all(), text, allow_special)) << seed << ": " << text;
    }
  }
}

TEST(AddedTokensTest, AShorterOneStandsWhereTheLongestMayNot) {
  const Json null_value, list = {{{"id", 1}, {"content", "<a>"}, {"special", false}},
                                 {{"id", 2}, {"content", "<a>b"}, {"special", true}, {"normalized", true}}};
  const auto normalizer = ParseNormalizer(JsonView(null_value, "normalizer:"));
  const auto tokens = AddedTokens::Parse(JsonView(list, "test:"), **normalizer);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->CutNormalized("<a>b", true).front().id, 2);
  EXPECT_EQ(tokens->CutNormalized("<a>b", false).front().id, 1);
}

// Some published tokenizers have 28,700 of them, for the codes of audio. Trying each of them at each place, and sorting them
// at each of them, took minutes; walking the list at the end of each of its objects, as the parser did, seconds.
TEST(AddedTokensTest, ManyCostLittle) {
  constexpr int kTokens = 100000;
  Json file = Json::parse(Tokenizer::ByteLevel()->json());
  std::string text;
  for (int i = 0; i < kTokens; ++i) {
    const std::string token = "<custom_token_" + std::to_string(i) + ">";
    file["added_tokens"].push_back({{"id", 272 + i}, {"content", token}, {"special", i % 2 == 0}, {"normalized", i % 3 == 0}});
    text += token + "<custom_token_" + (i % 2 == 0 ? "<" : " ");
  }
  const std::string json = file.dump();
  const auto begin = std::chrono::steady_clock::now();
  const auto tokenizer = Tokenizer::Parse(json, "", "test");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::vector<int32_t> ids = (*tokenizer)->Encode(text, {.allow_control_tokens = true});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(std::count_if(ids.begin(), ids.end(), [](int32_t id) { return id >= 272; }), kTokens);
  EXPECT_LT(took.count(), 8);  // s; it is about one, and hours with a search through all
}

}  // namespace
}  // namespace weft
