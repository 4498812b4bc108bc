// Tokens before and behind places of a text: as many as when all bytes up to there, or from there on, are encoded, with the
// work of the text.
#include "data/token_cuts.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "data/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/random_text.h"

namespace weft {
namespace {

using Tokens = std::vector<int32_t>;

// A talk without control tokens, and where what somebody says begins and ends.
struct Talk {
  std::string text;
  std::vector<size_t> places;
};

Talk RandomTalk(int num_turns, std::string_view between) {
  Talk talk;
  for (int i = 0; i < num_turns; ++i) {
    talk.text += between;
    talk.places.push_back(talk.text.size());
    const int num_texts = i % 50 == 17 ? 20 : i % 5;  // some are longer than the context of a place, some are nothing
    for (int k = 0; k < num_texts; ++k) talk.text += RandomText(static_cast<uint64_t>(i * 20 + k));
    talk.places.push_back(talk.text.size());
  }
  talk.text += "\n";
  return talk;
}

size_t InCommon(Tokens::const_iterator a, Tokens::const_iterator a_end, Tokens::const_iterator b, Tokens::const_iterator b_end) {
  return static_cast<size_t>(std::mismatch(a, a_end, b, b_end).first - a);
}

void ExpectTheSameAsOfWholeTexts(const Tokenizer& tokenizer, const Talk& talk) {
  const auto encode = [&](size_t begin, size_t end) {
    return tokenizer.Encode(std::string_view(talk.text).substr(begin, end - begin), {.add_special_tokens = false});
  };
  const Tokens whole = encode(0, talk.text.size());
  const Tokens reversed(whole.rbegin(), whole.rend());
  size_t work = 0;
  const auto encode_counting = [&](size_t begin, size_t end) {
    work += end - begin;
    return encode(begin, end);
  };
  const TokenCuts cuts(encode_counting, {0, 0}, talk.text.size(), whole, talk.places);
  for (const size_t place : talk.places) {
    const Tokens before = encode(0, place), after = encode(place, talk.text.size()), after_reversed(after.rbegin(), after.rend());
    ASSERT_EQ(cuts.TokensBefore(place), InCommon(before.begin(), before.end(), whole.begin(), whole.end())) << "byte " << place;
    ASSERT_EQ(cuts.TokensFrom(place),
              InCommon(after_reversed.begin(), after_reversed.end(), reversed.begin(), reversed.end())) << "byte " << place;
  }
  // A place takes some stretches of context; whole texts would take many times as much.
  EXPECT_LT(work, talk.places.size() * 3000);
}

TEST(TokenCutsTest, AreThoseOfWholeTextsWithBytesAsTokens) {
  ExpectTheSameAsOfWholeTexts(*Tokenizer::ByteLevel(), RandomTalk(400, "\nA: "));
  ExpectTheSameAsOfWholeTexts(*Tokenizer::ByteLevel(), RandomTalk(400, ""));
}

TEST(TokenCutsTest, AreThoseOfWholeTextsWithEveryKindOfTokenizer) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  for (const char* path : {"/tokenizers/gpt2/tokenizer.json", "/tokenizers/qwen2.5/tokenizer.json",
                           "/tokenizers/torchtune/tiny_bpe_tokenizer.json", "/tokenizers/torchtune/m.model",
                           "/models/stories260K/hf/tokenizer.json", "/models/stories260K/hf/tokenizer.model"}) {
    SCOPED_TRACE(path);
    const auto tokenizer = Tokenizer::Load(std::string(fixtures) + path);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    ExpectTheSameAsOfWholeTexts(**tokenizer, RandomTalk(130, "\nA: "));
    ExpectTheSameAsOfWholeTexts(**tokenizer, RandomTalk(130, " "));
  }
}

}  // namespace
}  // namespace weft
