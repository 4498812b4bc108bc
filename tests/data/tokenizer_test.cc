// Tokenizers: the byte-level one, and files of Llama, GPT-2 and Qwen kind against recorded vectors (WEFT_FIXTURES).
#include "data/tokenizer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.h"
#include "core/rng.h"
#include "core/utf8.h"
#include "data/byte_alphabet.h"
#include "data/json_view.h"
#include "data/normalizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/random_text.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

std::string Stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special = true) {
  StreamDecoder decoder(tokenizer, /*continues_text=*/false, skip_special);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = decoder.Add(id);
    EXPECT_TRUE(IsUtf8(part));
    text += part;
  }
  return text + decoder.Finish();
}

std::unique_ptr<Tokenizer> FixtureTokenizer(const std::string& path) {
  auto tokenizer = Tokenizer::Load(std::string(std::getenv("WEFT_FIXTURES")) + path);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

nlohmann::json FixtureJson(const std::string& path) {
  return nlohmann::json::parse(*ReadFile(std::string(std::getenv("WEFT_FIXTURES")) + path));
}

#define WEFT_NEED_FIXTURES() \
  if (std::getenv("WEFT_FIXTURES") == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set"

// 10,000 random texts come back from encoding, whole and streamed, as `normalizer_json` leaves them; no control token
// comes out of them.
void ExpectRoundTrips(const Tokenizer& tokenizer, const char* normalizer_json = "null") {
  const nlohmann::json normalizer_value = nlohmann::json::parse(normalizer_json);
  const auto normalizer = ParseNormalizer(JsonView(normalizer_value, "test:"));
  ASSERT_TRUE(normalizer.ok()) << normalizer.status();
  for (uint64_t seed = 0; seed < 10000; ++seed) {
    const std::string text = RandomText(seed) + (seed % 5 == 0 ? "<s></s><|endoftext|>" : "");
    const std::vector<int32_t> ids = tokenizer.Encode(text, {.add_special_tokens = false});
    for (const int32_t id : ids) ASSERT_FALSE(tokenizer.IsControl(id)) << text;
    const std::string expected = (*normalizer)->Normalize(text);
    ASSERT_EQ(tokenizer.Decode(ids), expected);
    ASSERT_EQ(Stream(tokenizer, ids), expected);
  }
}

// --- The byte-level tokenizer ----------------------------------------------------------------------------------------

TEST(ByteTokenizerTest, IdsAreBytes) {
  const auto tokenizer = Tokenizer::ByteLevel();
  EXPECT_EQ(tokenizer->vocab_size(), 272);
  EXPECT_EQ(tokenizer->bos_id(), 256);
  EXPECT_EQ(tokenizer->eos_id(), 257);
  EXPECT_EQ(tokenizer->pad_id(), 258);
  EXPECT_THAT(tokenizer->Encode("Aé\n"), ElementsAre(256, 'A', 0xC3, 0xA9, '\n'));
  EXPECT_THAT(tokenizer->Encode("", {.add_special_tokens = false}), ElementsAre());
  EXPECT_EQ(tokenizer->IdOf("Ġ"), 32);
  EXPECT_EQ(tokenizer->TokenOf(256), "<|begin_of_text|>");
  EXPECT_EQ(tokenizer->TokenOf(272), std::nullopt);
}

TEST(ByteTokenizerTest, RoundTripsAnyText) { ExpectRoundTrips(*Tokenizer::ByteLevel()); }

TEST(ByteTokenizerTest, ControlTokensOnlyWhenAllowed) {
  const auto tokenizer = Tokenizer::ByteLevel();
  const std::string text = "a<|endoftext|>b";
  const auto plain = tokenizer->Encode(text, {.add_special_tokens = false});
  EXPECT_EQ(plain.size(), text.size());
  EXPECT_EQ(tokenizer->Decode(plain), text);
  const auto with_control = tokenizer->Encode(text, {.add_special_tokens = false, .allow_control_tokens = true});
  EXPECT_THAT(with_control, ElementsAre('a', 257, 'b'));
  EXPECT_EQ(tokenizer->Decode({'a', 257, 'b'}), "ab");
  EXPECT_EQ(tokenizer->Decode({'a', 257, 'b'}, /*skip_special=*/false), text);
}

TEST(ByteTokenizerTest, StreamsWholeCodePoints) {
  const auto tokenizer = Tokenizer::ByteLevel();
  StreamDecoder decoder(*tokenizer, false);
  EXPECT_EQ(decoder.Add(0xF0), "");
  EXPECT_EQ(decoder.Add(0x9F), "");
  EXPECT_EQ(decoder.Add(0xA6), "");
  EXPECT_EQ(decoder.Add(0x99), "🦙");
  EXPECT_EQ(decoder.Add('a'), "a");
  EXPECT_EQ(decoder.Add(0xC3), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
}

TEST(ByteTokenizerTest, StreamingEqualsDecodingForAnyIds) {
  const auto tokenizer = Tokenizer::ByteLevel();
  const Rng rng(4, 0);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    std::vector<int32_t> ids;
    for (uint64_t i = 0; i < 30; ++i) ids.push_back(static_cast<int32_t>(rng.Below(seed * 30 + i, 280)) - 2);
    ASSERT_EQ(Stream(*tokenizer, ids), tokenizer->Decode(ids));
    ASSERT_TRUE(IsUtf8(tokenizer->Decode(ids)));
  }
}

TEST(ByteTokenizerTest, TakesWhatIsNotUtf8AsReplacementCharacters) {
  const auto tokenizer = Tokenizer::ByteLevel();
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\xFFz")), "a\uFFFDz");
}

TEST(ByteTokenizerTest, SavesFilesThatLoadAgain) {
  const ScratchFolder folder;
  const auto tokenizer = Tokenizer::ByteLevel();
  ASSERT_TRUE(tokenizer->Save(folder.Path("out")).ok());
  for (const char* path : {"out", "out/tokenizer.json"}) {
    auto loaded = Tokenizer::Load(folder.Path(path));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ((*loaded)->json(), tokenizer->json());
    EXPECT_EQ((*loaded)->config_json(), tokenizer->config_json());
    EXPECT_EQ((*loaded)->eos_id(), 257);
  }
}

// --- stories260K: SentencePiece-like BPE with byte fallback ----------------------------------------------------------

void ExpectStoriesVectors(const std::string& path) {
  const auto tokenizer = FixtureTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocab_size(), 512);
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  const nlohmann::json expected = FixtureJson("/models/stories260K/expected.json");
  ASSERT_EQ(expected["tokenizer_vectors_with_bos"].size(), 47u);
  for (const auto& vector : expected["tokenizer_vectors_with_bos"]) {
    const std::string text = vector["text"];
    const std::vector<int32_t> ids = vector["ids"];
    EXPECT_THAT(tokenizer->Encode(text), ElementsAreArray(ids)) << text;
    EXPECT_EQ(tokenizer->Decode(ids), text);
    EXPECT_EQ(Stream(*tokenizer, ids), text);
  }
  for (const auto& [text, count] : expected["prompt_token_counts_with_bos_used_by_llama_cpp_server_tests"].items()) {
    EXPECT_EQ(tokenizer->Encode(text).size(), count.get<size_t>()) << text;
  }
  const std::vector<int32_t> greedy = expected["greedy_from_BOS_256_steps_ids"];
  const std::string text = tokenizer->Decode(greedy);
  EXPECT_TRUE(text.starts_with(std::string(expected["greedy_from_BOS_200_steps_text"]).substr(0, 400)));
  EXPECT_EQ(Stream(*tokenizer, greedy), text);
}

TEST(StoriesTokenizerTest, MeetsEveryVector) {
  WEFT_NEED_FIXTURES();
  ExpectStoriesVectors("/models/stories260K/hf");
}

TEST(StoriesTokenizerTest, RoundTripsAndMakesControlTokensOnlyWhenAllowed) {
  WEFT_NEED_FIXTURES();
  const auto tokenizer = FixtureTokenizer("/models/stories260K/hf");
  ASSERT_NE(tokenizer, nullptr);
  ExpectRoundTrips(*tokenizer);
  EXPECT_THAT(tokenizer->Encode("</s>", {.add_special_tokens = false, .allow_control_tokens = true}), ElementsAre(2));
}

TEST(StoriesTokenizerTest, AContinuationKeepsItsSpace) {
  WEFT_NEED_FIXTURES();
  const auto tokenizer = FixtureTokenizer("/models/stories260K/hf");
  ASSERT_NE(tokenizer, nullptr);
  const int32_t token = *tokenizer->IdOf("▁the");
  EXPECT_EQ(StreamDecoder(*tokenizer, /*continues_text=*/true).Add(token), " the");
  EXPECT_EQ(StreamDecoder(*tokenizer, /*continues_text=*/false).Add(token), "the");
}

TEST(StoriesTokenizerTest, StreamingEqualsDecodingForAnyIds) {
  WEFT_NEED_FIXTURES();
  const auto tokenizer = FixtureTokenizer("/models/stories260K/hf");
  ASSERT_NE(tokenizer, nullptr);
  const Rng rng(4, 0);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    std::vector<int32_t> ids;
    const uint64_t largest = seed % 2 == 0 ? 512 : 262;  // mostly bytes in every other text
    for (uint64_t i = 0; i < 20; ++i) ids.push_back(static_cast<int32_t>(rng.Below(seed * 20 + i, largest)));
    ASSERT_EQ(Stream(*tokenizer, ids), tokenizer->Decode(ids));
  }
}

// --- Byte-level BPE --------------------------------------------------------------------------------------------------

void ExpectVectors(const std::string& tokenizer_path, const std::string& name) {
  const auto tokenizer = FixtureTokenizer(tokenizer_path);
  ASSERT_NE(tokenizer, nullptr);
  const std::string vectors = std::string(std::getenv("WEFT_FIXTURES")) + "/tokenizers/vectors/";
  const std::string input = *ReadFile(vectors + "ggml-vocab.inp");
  std::ifstream output(vectors + "ggml-vocab-" + name + ".out");
  const std::string separator = "\n__ggml_vocab_test__\n";
  int count = 0;
  for (size_t begin = 0; begin <= input.size(); ++count) {
    const size_t end = std::min(input.find(separator, begin), input.size());
    const std::string text = input.substr(begin, end - begin);
    begin = end + separator.size();
    std::string line;
    if (!std::getline(output, line)) break;
    std::istringstream numbers(line);
    const std::vector<int32_t> ids{std::istream_iterator<int32_t>(numbers), std::istream_iterator<int32_t>()};
    EXPECT_THAT(tokenizer->Encode(text), ElementsAreArray(ids)) << text;
  }
  EXPECT_GE(count, 46);
}

TEST(ByteLevelBpeTest, Gpt2Vectors) {
  WEFT_NEED_FIXTURES();
  ExpectVectors("/tokenizers/gpt2", "gpt-2");
}

TEST(ByteLevelBpeTest, Qwen2Vectors) {
  WEFT_NEED_FIXTURES();
  ExpectVectors("/tokenizers/qwen2.5", "qwen2");
}

// The small fixtures lack letters for most bytes, so nothing comes back from them; tokenizer_reference_test.cc compares
// what does come with Hugging Face's.
TEST(ByteLevelBpeTest, RoundTrips) {
  WEFT_NEED_FIXTURES();
  const auto gpt2 = FixtureTokenizer("/tokenizers/gpt2");
  ASSERT_NE(gpt2, nullptr);
  ExpectRoundTrips(*gpt2);
  const auto qwen = FixtureTokenizer("/tokenizers/qwen2.5");
  ASSERT_NE(qwen, nullptr);
  ExpectRoundTrips(*qwen, R"({"type": "NFC"})");
}

TEST(ByteLevelBpeTest, MergesThatBeginWithANumberSignAreNoComments) {
  WEFT_NEED_FIXTURES();
  const auto tokenizer = FixtureTokenizer("/tokenizers/qwen2.5");
  ASSERT_NE(tokenizer, nullptr);
  std::ifstream merges(std::string(std::getenv("WEFT_FIXTURES")) + "/tokenizers/qwen2.5/merges.txt");
  int count = 0;
  for (std::string line; std::getline(merges, line);) {
    const size_t space = line.find(' ');
    if (!line.starts_with('#') || line.starts_with("#version") || space == std::string::npos) continue;
    ++count;
    const std::string token = line.substr(0, space) + line.substr(space + 1);
    ASSERT_TRUE(tokenizer->IdOf(token).has_value()) << line;
    EXPECT_THAT(tokenizer->Encode(*FromByteAlphabet(token)), ElementsAre(*tokenizer->IdOf(token))) << line;
  }
  EXPECT_EQ(count, 96);
}

TEST(ByteLevelBpeTest, RefusesMergesOfTokensThatAreNotThere) {
  WEFT_NEED_FIXTURES();
  const auto tokenizer =
      Tokenizer::Load(std::string(std::getenv("WEFT_FIXTURES")) + "/tokenizers/hf_small/test_hf_tokenizer.json");
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("model.merges[0]: the merge's token 'He'"));
}

// --- tokenizer.model -------------------------------------------------------------------------------------------------

TEST(SentencePieceTest, BpeMeetsEveryVector) {
  WEFT_NEED_FIXTURES();
  ExpectStoriesVectors("/models/stories260K/hf/tokenizer.model");
  const auto tokenizer = FixtureTokenizer("/models/stories260K/hf/tokenizer.model");
  ExpectRoundTrips(*tokenizer);
  EXPECT_THAT(tokenizer->Encode("</s>", {.add_special_tokens = false, .allow_control_tokens = true}), ElementsAre(2));
}

TEST(SentencePieceTest, UnigramMeetsItsVector) {
  WEFT_NEED_FIXTURES();
  const auto tokenizer = FixtureTokenizer("/tokenizers/torchtune/m.model");
  ASSERT_NE(tokenizer, nullptr);
  const nlohmann::json expected = FixtureJson("/tokenizers/torchtune/m.model.expected.json");
  std::vector<int32_t> ids = tokenizer->Encode(std::string(expected["text"]));
  ids.push_back(*tokenizer->eos_id());
  EXPECT_EQ(ids, expected["ids_with_bos_eos"].get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer->bos_id(), expected["bos_id"].get<int32_t>());
  EXPECT_EQ(tokenizer->eos_id(), expected["eos_id"].get<int32_t>());
  EXPECT_EQ(tokenizer->vocab_size(), expected["vocab_size"].get<int32_t>());
  EXPECT_EQ(tokenizer->Decode(ids), expected["text"]);
}

TEST(SentencePieceTest, TravelsAsJsonAndIsSavedAsItWas) {
  WEFT_NEED_FIXTURES();
  const ScratchFolder folder;
  const std::string original = std::string(std::getenv("WEFT_FIXTURES")) + "/models/stories260K/hf/tokenizer.model";
  folder.Write("in/tokenizer.model", *ReadFile(original));
  folder.Write("in/tokenizer_config.json", R"({"add_bos_token": false, "eos_token": "<|im_end|>", "added_tokens_decoder":
      {"512": {"content": "<|im_end|>", "special": true, "normalized": false}}})");
  auto tokenizer = Tokenizer::Load(folder.Path("in"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->eos_id(), 512);
  auto carried = Tokenizer::Parse((*tokenizer)->json(), (*tokenizer)->config_json(), "a store");
  ASSERT_TRUE(carried.ok()) << carried.status();
  const std::vector<int32_t> ids = (*carried)->Encode("Once upon<|im_end|>", {.allow_control_tokens = true});
  EXPECT_EQ(ids.back(), 512);
  EXPECT_EQ(ids, (*tokenizer)->Encode("Once upon<|im_end|>", {.allow_control_tokens = true}));
  EXPECT_NE(ids.front(), 1);  // no BOS, as asked for
  ASSERT_TRUE((*carried)->Save(folder.Path("out")).ok());
  EXPECT_EQ(*ReadFile(folder.Path("out/tokenizer.model")), *ReadFile(original));
  EXPECT_FALSE(std::filesystem::exists(folder.Path("out/tokenizer.json")));
}

// Without legacy as transformers 5.24 encodes it.
TEST(SentencePieceTest, OnlyTheFirstTextGetsASpaceWithoutLegacy) {
  WEFT_NEED_FIXTURES();
  const ScratchFolder folder;
  folder.Write("tokenizer.model", *ReadFile(std::string(std::getenv("WEFT_FIXTURES")) + "/models/stories260K/hf/tokenizer.model"));
  const auto tokens_with = [&](const std::string& config) {
    folder.Write("tokenizer_config.json", config);
    const auto loaded = Tokenizer::Load(folder.Path());
    const auto carried = Tokenizer::Parse((*loaded)->json(), (*loaded)->config_json(), "a store");
    std::vector<std::string> tokens;
    for (const int32_t id : (*carried)->Encode("a</s>b c</s> d", {.add_special_tokens = false, .allow_control_tokens = true})) {
      tokens.push_back(*(*carried)->TokenOf(id));
    }
    return tokens;
  };
  EXPECT_THAT(tokens_with(R"({"legacy": false})"), ElementsAre("▁a", "</s>", "b", "▁c", "</s>", "▁d"));
  EXPECT_THAT(tokens_with(R"({"legacy": true})"), ElementsAre("▁a", "</s>", "▁b", "▁c", "</s>", "▁", "▁d")) << "as the library does";
  EXPECT_EQ(tokens_with("{}"), tokens_with(R"({"legacy": true})"));
}

TEST(SentencePieceTest, RefusesWhatIsNoModel) {
  const ScratchFolder folder;
  for (const char* bytes : {"", "{}", "\n\x0e\n\x05<unk>", "version https://git-lfs.github.com/spec/v1"}) {
    const auto tokenizer = Tokenizer::Load(folder.Write("tokenizer.model", bytes));
    EXPECT_EQ(ExitCode(tokenizer.status()), 2) << bytes;
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("tokenizer.model")) << bytes;
  }
}

// --- What is wrong with a file ---------------------------------------------------------------------------------------

Status LoadError(const nlohmann::json& file, const std::string& config = "") {
  return Tokenizer::Parse(file.dump(), config, "dir/tokenizer.json").status();
}

nlohmann::json SmallFile() {
  return {{"added_tokens", {{{"id", 5}, {"content", "<s>"}, {"special", true}, {"normalized", false}}}},
          {"decoder", {{"type", "Fuse"}}},
          {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"abb", 3}, {"bb", 4}}},
                     {"merges", {"b b", "a b", "ab b"}}}}};
}

TEST(TokenizerFileTest, MergesByRankThenFromTheLeft) {
  auto tokenizer = Tokenizer::Parse(SmallFile().dump(), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("abb"), ElementsAre(0, 4));
  EXPECT_THAT((*tokenizer)->Encode("bbb"), ElementsAre(4, 1));
  EXPECT_THAT((*tokenizer)->Encode("aabab"), ElementsAre(0, 2, 2));
  EXPECT_THAT((*tokenizer)->Encode("<s>"), ElementsAre());  // its letters are in no vocabulary
  nlohmann::json pairs = SmallFile();
  pairs["model"]["merges"] = nlohmann::json::parse(R"([["a", "b"], ["ab", "b"]])");
  tokenizer = Tokenizer::Parse(pairs.dump(), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("abb"), ElementsAre(3));
}

TEST(TokenizerFileTest, ControlTokensInTheVocabularyAreOutOfReach) {
  nlohmann::json file = SmallFile();
  file["added_tokens"][0] = {{"id", 2}, {"content", "ab"}, {"special", true}, {"normalized", false}};
  file["model"]["ignore_merges"] = true;
  auto tokenizer = Tokenizer::Parse(file.dump(), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("ab"), ElementsAre(0, 1));
  EXPECT_THAT((*tokenizer)->Encode("ab", {.allow_control_tokens = true}), ElementsAre(2));
}

TEST(TokenizerFileTest, AddedTokensMatchLongestWithTheirFlags) {
  nlohmann::json file = SmallFile();
  file["added_tokens"] = {{{"id", 10}, {"content", "<x>"}},
                          {{"id", 11}, {"content", "<x><y>"}},
                          {{"id", 12}, {"content", "wo"}, {"single_word", true}},
                          {{"id", 13}, {"content", "<l>"}, {"lstrip", true}, {"rstrip", true}}};
  auto tokenizer = Tokenizer::Parse(file.dump(), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("a<x><y>b<x>"), ElementsAre(0, 11, 1, 10));
  EXPECT_THAT((*tokenizer)->Encode("awo wo"), ElementsAre(0, 12));
  EXPECT_THAT((*tokenizer)->Encode("a \n<l> b"), ElementsAre(0, 13, 1));
}

TEST(TokenizerFileTest, FusesUnknownLettersAcrossCuts) {
  nlohmann::json file = SmallFile();
  file["model"]["unk_token"] = "abb";
  EXPECT_THAT((*Tokenizer::Parse(file.dump(), "", "t"))->Encode("xyaxb"), ElementsAre(3, 3, 0, 3, 1));
  file["model"]["fuse_unk"] = true;
  EXPECT_THAT((*Tokenizer::Parse(file.dump(), "", "t"))->Encode("xyaxb"), ElementsAre(3, 0, 3, 1));
}

TEST(TokenizerFileTest, IgnoreMergesTakesWholePiecesOnly) {
  nlohmann::json file = SmallFile();
  file["model"]["vocab"]["ba"] = 6;  // no merge makes it
  EXPECT_THAT((*Tokenizer::Parse(file.dump(), "", "t"))->Encode("ba"), ElementsAre(1, 0));
  file["model"]["ignore_merges"] = true;
  auto tokenizer = Tokenizer::Parse(file.dump(), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("ba"), ElementsAre(6));
  EXPECT_THAT((*tokenizer)->Encode("bab"), ElementsAre(1, 2));
}

TEST(TokenizerFileTest, MetaspaceStreamsWithoutItsFirstSpace) {
  nlohmann::json file = SmallFile();
  file["model"]["vocab"]["▁"] = 6;
  file["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}};
  file["pre_tokenizer"] = file["decoder"];
  auto tokenizer = Tokenizer::Parse(file.dump(), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::vector<int32_t> ids = (*tokenizer)->Encode("a b");
  EXPECT_THAT(ids, ElementsAre(6, 0, 6, 1));
  EXPECT_EQ((*tokenizer)->Decode(ids), "a b");
  EXPECT_EQ(Stream(**tokenizer, ids), "a b");
}

// As in transformers 5, which forgets them where there is a tokenizer.json.
TEST(TokenizerFileTest, ItsPostProcessorAloneAddsTokens) {
  for (const char* config : {R"({"bos_token": "<s>", "eos_token": "ab", "add_bos_token": true, "add_eos_token": true})",
                             R"({"bos_token": "<s>", "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true})"}) {
    EXPECT_THAT((*Tokenizer::Parse(SmallFile().dump(), config, "t"))->Encode("b"), ElementsAre(1)) << config;
  }
  nlohmann::json file = SmallFile();
  file["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", {"<s>", 5}}, {"sep", {"ab", 2}}};
  const char* config = R"({"bos_token": "<s>", "eos_token": "ab", "add_bos_token": false, "add_eos_token": false})";
  EXPECT_THAT((*Tokenizer::Parse(file.dump(), config, "t"))->Encode("b"), ElementsAre(5, 1, 2));
}

TEST(TokenizerFileTest, RefusesByNameWithThePlace) {
  struct Case {
    std::string pointer;
    nlohmann::json value;
    std::string message;
  };
  const Case cases[] = {
      {"/model/type", "Unigram", "'Unigram'"},
      {"/model/type", "WordPiece", "'WordPiece'"},
      {"/model/vocab", nlohmann::json::array(), "model.vocab: expected an object"},
      {"/model/vocab/a", -1, "model.vocab['a']"},
      {"/model/vocab/a", 1, "given twice"},
      {"/model/vocab/a", 1e9, "model.vocab['a']"},
      {"/model/merges/0", "b", "model.merges[0]"},
      {"/model/merges/0", "b x", "model.merges[0]"},
      {"/model/merges/0", {"a", 1}, "model.merges[0][1]"},
      {"/model/merges", nullptr, "model.merges"},
      {"/model/unk_token", "?", "unk_token"},
      {"/model/dropout", 0.1, "dropout"},
      {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix"},
      {"/model/byte_fallback", 1, "model.byte_fallback: expected true or false"},
      {"/normalizer", {{"type", "BertNormalizer"}}, "'BertNormalizer'"},
      {"/normalizer", {{"type", "Replace"}, {"content", ""}, {"pattern", {{"Regex", "("}}}}, "regular expression"},
      {"/pre_tokenizer", {{"type", "BertPreTokenizer"}}, "'BertPreTokenizer'"},
      {"/pre_tokenizer", "ByteLevel", "pre_tokenizer: expected an object"},
      {"/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}, "replacement 'ab' is not one code point"},
      {"/normalizer", {{"type", "Precompiled"}}, "'Precompiled'"},
      {"/post_processor", {{"type", "RobertaProcessing"}, {"cls", {"<s>", "0"}}}, "post_processor.cls[1]"},
      {"/post_processor", {{"type", "PairProcessing"}}, "'PairProcessing'"},
      {"/model", {{"type", "SentencePiece"}, {"base64", "?"}}, "base64 is damaged"},
      {"/decoder", {{"type", "CTC"}}, "'CTC'"},
      {"/decoder", nullptr, "decoder"},
      {"/added_tokens/0/id", 2, "share the id 2"},
      {"/added_tokens/0/content", "ab", "'ab'"},
      {"/added_tokens", 5, "added_tokens: expected a list"},
  };
  for (const Case& c : cases) {
    nlohmann::json file = SmallFile();
    file[nlohmann::json::json_pointer(c.pointer)] = c.value;
    const Status status = LoadError(file);
    EXPECT_EQ(ExitCode(status), 2) << c.pointer << " " << c.value;
    EXPECT_THAT(std::string(status.message()), HasSubstr("dir/tokenizer.json")) << c.pointer;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.pointer;
  }
  EXPECT_THAT(std::string(LoadError(SmallFile(), "{\"eos_token\": \"</s>\"}").message()),
              HasSubstr("dir/tokenizer_config.json: eos_token: there is no token '</s>'"));
  EXPECT_TRUE(LoadError(SmallFile(), "{\"eos_token\": {\"content\": \"<s>\"}}").ok());
}

TEST(TokenizerFileTest, SurvivesDamage) {
  const std::string deep(1000000, '[');
  for (const std::string& text : std::vector<std::string>{"", "null", "[]", "{", "{}", deep, "{\"model\": \"\xFF\"}"}) {
    EXPECT_EQ(ExitCode(Tokenizer::Parse(text, "", "t").status()), 2) << text.substr(0, 20);
  }
  std::string twice = SmallFile().dump();
  twice.insert(twice.find("\"ab\""), "\"ab\":7,");
  EXPECT_THAT(std::string(Tokenizer::Parse(twice, "", "t").status().message()),
              HasSubstr("t: an object has the member 'ab' twice"));
  const ScratchFolder folder;
  const std::string huge = folder.Write("tokenizer.json", "{");
  std::filesystem::resize_file(huge, uintmax_t{1} << 40);  // a hole
  EXPECT_THAT(std::string(Tokenizer::Load(huge).status().message()), HasSubstr("too many for a tokenizer"));
  const std::string good = SmallFile().dump();
  const Rng rng(9, 0);
  for (uint64_t i = 0; i < 3000; ++i) {  // whatever comes of it, it does not crash
    std::string bad = good;
    bad[rng.Below(3 * i, bad.size())] = static_cast<char>(rng.Below(3 * i + 1, 256));
    if (i % 3 == 0) bad.resize(rng.Below(3 * i + 2, bad.size()));
    auto tokenizer = Tokenizer::Parse(bad, "", "t");
    if (tokenizer.ok()) (*tokenizer)->Decode((*tokenizer)->Encode("abba <s> é"));
  }
}

}  // namespace
}  // namespace weft
