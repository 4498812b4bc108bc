// Every corpus of the fixtures is prepared, with the options that its form asks for, or refused with the reason.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "data/inspect.h"
#include "data/prepare.h"
#include "data/token_store_hdf5.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::HasSubstr;

struct Corpus {
  std::vector<std::string> columns{};
  bool needs_template = false;
  std::string table{};    // YAML
  std::string refusal{};  // without these options; empty: there are none to leave out
  int64_t num_documents = 1;
  bool is_refused = false;  // with any
};

constexpr char kTatQa[] =
    "columns: {table: {kind: json}, paragraphs: {kind: json}, questions: {kind: json}}\n"
    "target: [questions]\n"
    "prompt: \"{% for row in table.table %}{{ row | join(' | ') }}\\n{% endfor %}"
    "{% for p in paragraphs %}{{ p.text }}\\n{% endfor %}\"\n"
    "completion: \"{% for q in questions %}{{ q.question }} {{ q.answer | tojson }} {{ q.scale }}\\n{% endfor %}\"\n";

const std::map<std::string, Corpus>& Corpora() {
  static const std::map<std::string, Corpus> kCorpora = {
      {"tinyshakespeare.txt", {}},
      {"llamafactory/wiki_demo.txt", {}},
      {"gsm8k_train.jsonl",
       {.columns = {"prompt=question", "completion=answer"}, .refusal = "--column prompt=question", .num_documents = 7473}},
      {"chinese/lunyu.json", {.columns = {"text=paragraphs"}, .refusal = "its keys are 'chapter, paragraphs'", .num_documents = 20}},
      {"chinese/poet.tang.1000.json", {.columns = {"text=paragraphs"}, .refusal = "record 1 (line 2): of no format", .num_documents = 1000}},
      {"finance/tatqa_dev.json", {.table = kTatQa, .refusal = "its keys are 'table, paragraphs, questions'", .num_documents = 278}},
      {"medical/huatuo_llama_data.json", {.needs_template = true, .refusal = "--template FILE.jinja", .num_documents = 8658}},
      {"medical/pubmedqa_ori_pqal.json",
       {.columns = {"prompt=QUESTION", "completion=LONG_ANSWER"}, .refusal = "its keys are '_key, QUESTION", .num_documents = 1000}},
      {"llamafactory/identity.json", {.needs_template = true, .refusal = "--template FILE.jinja", .num_documents = 91}},
      {"llamafactory/dataset_info.json",
       {.refusal = "an entry 'identity' of LLaMA-Factory's dataset_info.json, which lists data sets and holds none: prepare the "
                   "file that it names (file_name: identity.json)", .is_refused = true}},
  };
  return kCorpora;
}

TEST(CorporaTest, EachIsPreparedOrRefusedWithTheReason) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::filesystem::path root = std::filesystem::path(fixtures) / "corpora";
  const ScratchFolder folder;
  const std::string chat = folder.Write("t.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}");
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = std::filesystem::relative(entry.path(), root).string();
    ASSERT_TRUE(Corpora().contains(name)) << "what should become of " << name << "?";
    seen.insert(name);
    const Corpus& corpus = Corpora().at(name);
    PrepareOptions options{.inputs = {entry.path().string()}, .to = folder.Path("data.h5"), .tokenizer = "", .columns = {}};
    if (!corpus.refusal.empty()) {
      const Status refused = PrepareData(options);
      EXPECT_EQ(ExitCode(refused), 2) << name;
      EXPECT_THAT(std::string(refused.message()), HasSubstr(corpus.refusal));
    }
    if (corpus.is_refused) continue;
    options.columns = corpus.columns;
    if (corpus.needs_template) options.chat_template = chat;
    if (!corpus.table.empty()) options.table = folder.Write("table.yaml", corpus.table);
    const Status status = PrepareData(options);
    ASSERT_TRUE(status.ok()) << name << ": " << status;
    const auto store = TokenStore::Open(options.to);
    EXPECT_EQ((*store)->num_documents(), corpus.num_documents) << name;
    EXPECT_GT((*store)->num_tokens(), 10 * corpus.num_documents) << name;
    const auto shown = InspectData(options.to, {.num_samples = 1});
    ASSERT_TRUE(shown.ok()) << name << ": " << shown.status();
    EXPECT_THAT(*shown, HasSubstr("»")) << name;
  }
  EXPECT_EQ(seen.size(), Corpora().size()) << "corpora are gone";
}

}  // namespace
}  // namespace weft
