// Tokenizers against Hugging Face's `tokenizers`: the same ids and the same text for every fixture on a megabyte of mixed
// text, and for tokenizers made of every kind of stage (tokenizer_variants.json: members of a fixture replaced).
// `tokenizers` is taken from python3 (or WEFT_PYTHON), else it is installed from PyPI beside the test; where that fails
// the test skips.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "data/tokenizer.h"
#include "data/tokenizer_training.h"
#include "data/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/random_text.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using nlohmann::json;

std::string Fixture(const std::string& path) { return std::string(std::getenv("WEFT_FIXTURES")) + path; }

// The interpreter that can import `tokenizers`; empty: there is none.
std::string PythonWithTokenizers() {
  const auto imports = [](const std::string& python) {
    return std::system((python + " -c 'import tokenizers' >/dev/null 2>&1").c_str()) == 0;
  };
  const char* given = std::getenv("WEFT_PYTHON");
  const std::string python = given != nullptr ? given : "python3";
  if (imports(python)) return python;
  const std::string folder = (std::filesystem::path(WEFT_BINARY).parent_path() / "python-tokenizers").string();
  const std::string installed = folder + "/bin/python";
  if (imports(installed)) return installed;
  const std::string install = python + " -m venv " + folder + " >/dev/null 2>&1 && timeout 120 " + installed +
                              " -m pip install -q --retries 1 --timeout 15 tokenizers >/dev/null 2>&1";
  return std::system(install.c_str()) == 0 && imports(installed) ? installed : "";
}

// Cuts `text` at code points into parts of about `size` bytes.
void AppendParts(const std::string& text, size_t size, std::vector<std::string>* parts) {
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(begin + size, text.size());
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    parts->push_back(text.substr(begin, end - begin));
    begin = end;
  }
}

// Hugging Face normalises by the tables of an old Unicode, in which these marks are no marks: texts without them.
void AppendRandomTexts(uint64_t first_seed, uint64_t end_seed, std::vector<std::string>* texts) {
  for (uint64_t seed = first_seed; seed < end_seed; ++seed) {
    const std::string text = RandomText(seed);
    if (text.find("\u0D3C") == std::string::npos && text.find("\u0AFE") == std::string::npos) texts->push_back(text);
  }
}

// A megabyte of English, mathematics, Chinese, markup and random code points, in short and long texts.
std::vector<std::string> MixedTexts() {
  std::vector<std::string> texts;
  const std::pair<const char*, size_t> sources[] = {
      {"/corpora/tinyshakespeare.txt", 200'000}, {"/corpora/gsm8k_train.jsonl", 150'000},
      {"/corpora/chinese/poet.tang.1000.json", 150'000}, {"/corpora/llamafactory/wiki_demo.txt", 150'000},
      {"/corpora/medical/huatuo_llama_data.json", 150'000}, {"/corpora/finance/tatqa_dev.json", 100'000}};
  size_t part = 500;
  for (const auto& [path, bytes] : sources) {
    std::string text = ReadFile(Fixture(path))->substr(0, bytes);
    text.resize(text.size() - CutOffBytes(text));
    AppendParts(text, part, &texts);
    part = part * 5 / 2;
  }
  AppendRandomTexts(0, 2500, &texts);
  return texts;
}

// Short texts with what the variants' tokens and patterns look for.
std::vector<std::string> ShortTexts() {
  std::vector<std::string> texts = {
      "", " ", "  ", "   a  b ", "\n\n a\t\tb \r\n", "Hello, World! It's 12345 o'clock; 3.14 (e=mc²) – ½ ⅔ Ⅷ ١٢٣",
      "▁▁under▁score▁ ▁", "don't DON'T we'LL ﬁne ǅ İstanbul ΑΣ ΣΑΣ", "日本語 テキスト 中文，标点。", "a<x>b", " <x> ",
      "<x><y>  <xy><x>", "word sword words word.", "  <l>  <r>  <lr>  ", "<l>\n\n<r>\t<s></s><unk>", "<0x41><0xE4>",
      "naïve café e\u0301 \u1100\u1161\u11A8 각", "👩‍👩‍👧‍👦 🇩🇪 \u180E\u200B\u00A0\u3000x", "Ⓐ🄰word wordⒶ \u200Dword",
      "for (int i = 0; i < 10; ++i) { x[i] += \"s\\n\"; }", "Word WORD wOrD"};
  AppendRandomTexts(10000, 10300, &texts);
  return texts;
}

constexpr char kByteLevel[] = "/tokenizers/torchtune/tiny_bpe_tokenizer.json";
constexpr char kByteFallback[] = "/models/stories260K/hf/tokenizer.json";

struct Case {
  std::string name, path;
  const std::vector<std::string>* texts;
  bool ids_only = false;  // added tokens that a normalizer changes are decoded as they are written, there as changed
};

void ExpectSame(const Case& c, const json& answer) {
  auto tokenizer = Tokenizer::Load(c.path);
  ASSERT_TRUE(tokenizer.ok()) << c.name << ": " << tokenizer.status();
  for (size_t i = 0; i < c.texts->size(); ++i) {
    const std::string& text = (*c.texts)[i];
    const std::vector<int32_t> expected = answer["ids"][i];
    if (c.ids_only) {
      ASSERT_EQ((*tokenizer)->Encode(text, {.allow_control_tokens = true}), expected) << c.name << ": '" << text << "'";
      continue;
    }
    const bool same = (*tokenizer)->Encode(text, {.allow_control_tokens = true}) == expected &&
                      (*tokenizer)->Decode(expected, /*skip_special=*/false) == answer["decoded"][i] &&
                      (*tokenizer)->Decode(expected) == answer["decoded_without_special"][i];
    if (same) continue;
    EXPECT_EQ((*tokenizer)->Encode(text, {.allow_control_tokens = true}), expected) << c.name << ": '" << text << "'";
    EXPECT_EQ((*tokenizer)->Decode(expected, /*skip_special=*/false), answer["decoded"][i]) << c.name << ": '" << text << "'";
    EXPECT_EQ((*tokenizer)->Decode(expected), answer["decoded_without_special"][i]) << c.name << ": '" << text << "'";
    return;  // one text a tokenizer says enough
  }
}

TEST(TokenizerReferenceTest, AgreesWithHuggingFace) {
  if (std::getenv("WEFT_FIXTURES") == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::string python = PythonWithTokenizers();
  if (python.empty()) GTEST_SKIP() << "the Python package 'tokenizers' is not here and could not be installed";
  const ScratchFolder folder;
  const std::vector<std::string> mixed = MixedTexts(), short_texts = ShortTexts();
  std::vector<Case> cases;
  for (const char* path : {"/tokenizers/gpt2/tokenizer.json", "/tokenizers/qwen2.5/tokenizer.json", kByteLevel,
                           kByteFallback, "/tokenizers/torchtitan_test/tokenizer.json"}) {
    cases.push_back({path, Fixture(path), &mixed});
  }
  for (const json& variant : json::parse(*ReadFile("tests/data/tokenizer_variants.json"))) {
    json file = json::parse(*ReadFile(Fixture(variant["base"] == "byte-level" ? kByteLevel : kByteFallback)));
    for (const auto& [pointer, value] : variant["changes"].items()) file[json::json_pointer(pointer)] = value;
    cases.push_back({variant["name"], folder.Write(StrCat(cases.size(), ".json"), file.dump()), &short_texts,
                     variant.value("ids_only", false)});
  }
  ASSERT_TRUE(TrainTokenizer({{Fixture("/corpora/tinyshakespeare.txt")}, folder.Path("learnt"), 1000}).ok());
  cases.push_back({"learnt", folder.Path("learnt/tokenizer.json"), &mixed});
  json questions = json::array();
  for (const Case& c : cases) questions.push_back({{"tokenizer", c.path}, {"texts", *c.texts}});
  const std::string asked = folder.Write("cases.json", questions.dump()), answered = folder.Path("answers.json");
  const std::string command = python + " tests/data/reference_ids.py " + asked + " " + answered;
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const json answers = json::parse(*ReadFile(answered));
  for (size_t i = 0; i < cases.size(); ++i) ExpectSame(cases[i], answers[i]);
}

}  // namespace
}  // namespace weft
