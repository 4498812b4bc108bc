// `weft data prepare` on small files: which are read, in what order, with any number of threads, and its errors.
#include "data/prepare.h"

#include "core/file.h"
#include "data/inspect.h"
#include "data/token_store_hdf5.h"
#include "data/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> DocumentsOf(const std::string& path) {
  auto store = TokenStore::Open(path);
  EXPECT_TRUE(store.ok()) << store.status();
  auto tokenizer = Tokenizer::Parse((*store)->tokenizer_json(), (*store)->tokenizer_config_json(), path);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  std::vector<std::string> documents;
  for (int64_t d = 0; d < (*store)->num_documents(); ++d) {
    const TokenRange range = (*store)->Document(d);
    std::vector<int32_t> tokens(range.length);
    std::vector<uint8_t> mask(range.length);
    EXPECT_TRUE((*store)->Read(range, absl::MakeSpan(tokens), absl::MakeSpan(mask)).ok());
    EXPECT_EQ(tokens.front(), (*tokenizer)->bos_id());
    EXPECT_EQ(tokens.back(), (*tokenizer)->eos_id());
    documents.push_back((*tokenizer)->Decode(tokens));
  }
  return documents;
}

TEST(PrepareTest, ReadsFoldersInOrderAndSkipsWhatIsNotText) {
  const ScratchFolder folder;
  folder.Write("in/b.txt", "second");
  folder.Write("in/a.txt", "first, é");
  folder.Write("in/sub/c.md", "third");
  folder.Write("in/empty.txt", "");
  folder.Write("in/picture.png", std::string_view("\x89PNG\0\0", 6));
  folder.Write("in/latin1.txt", "caf\xE9");
  folder.Write("in/.git/config", "hidden");
  folder.Write("in/.hidden", "hidden");
  folder.Write("in/build/x.txt", "built");
  const PrepareOptions options = {
      .inputs = {folder.Path("in")}, .to = folder.Path("data.h5"), .tokenizer = "", .sequence_length = 8};
  Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(DocumentsOf(options.to), ElementsAre("first, é", "second", "third"));
  auto text = InspectData(options.to);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("\"files_skipped_as_not_text\": 2"));
  EXPECT_THAT(*text, HasSubstr("\"hidden_files_skipped\": 1"));
  EXPECT_THAT(*text, HasSubstr("\"hidden_and_build_folders_skipped\": 2"));
  EXPECT_THAT(*text, HasSubstr("\"empty_documents_dropped\": 1"));
}

TEST(PrepareTest, ReadsJsonLines) {
  const ScratchFolder folder;
  const std::string path = folder.Write("in.jsonl", "{\"text\": \"one\\ntwo\"}\n\n{\"text\": \"\"}\r\n"
                                                    "{\"n\": 1, \"text\": \"<|endoftext|>\"}");
  PrepareOptions options{.inputs = {path}, .to = folder.Path("data.h5"), .tokenizer = ""};
  Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(DocumentsOf(options.to), ElementsAre("one\ntwo", "<|endoftext|>"));  // text, not the control token
}

TEST(PrepareTest, DoesNotDependOnThreads) {
  const ScratchFolder folder;
  std::string lines;
  for (int i = 0; i < 3000; ++i) {
    const std::string text(static_cast<size_t>(i % 40 * 97 + 1), static_cast<char>('a' + i % 26));
    lines += "{\"text\": \"" + text + "\"}\n";
  }
  PrepareOptions options{.inputs = {folder.Write("in.jsonl", lines)}, .to = folder.Path("1.h5"), .tokenizer = ""};
  options.num_threads = 1;
  ASSERT_TRUE(PrepareData(options).ok());
  options.to = folder.Path("3.h5");
  options.num_threads = 3;
  ASSERT_TRUE(PrepareData(options).ok());
  EXPECT_TRUE(*ReadFile(folder.Path("1.h5")) == *ReadFile(folder.Path("3.h5")));
}

TEST(PrepareTest, ErrorsNameThePlaceAndWriteNothing) {
  const ScratchFolder folder;
  struct Case {
    std::string contents, message;
  };
  const Case cases[] = {
      {"{\"text\": \"a\"}\n{\"text\": \"b\"\n", "in.jsonl:2"},
      {"{\"text\": \"a\"}\n{\"other\": \"b\"}\n", "in.jsonl:2"},
      {"{\"text\": 5}\n", "in.jsonl:1"},
      {"[1]\n", "in.jsonl:1"},
      {"{\"text\": \"caf\xE9\"}\n", "in.jsonl:1"},
      {std::string(100000, '[') + "\n", "in.jsonl:1"},
      {"\n\n", "no text"},
  };
  for (const Case& c : cases) {
    const std::string path = folder.Write("in.jsonl", c.contents);
    const PrepareOptions options = {.inputs = {path}, .to = folder.Path("data.h5"), .tokenizer = ""};
    const Status status = PrepareData(options);
    EXPECT_EQ(ExitCode(status), 2) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_FALSE(std::filesystem::exists(options.to));
    EXPECT_FALSE(std::filesystem::exists(options.to + ".tmp"));
  }
  const PrepareOptions good{.inputs = {folder.Write("in.txt", "text")}, .to = folder.Path("data.h5"), .tokenizer = ""};
  std::vector<PrepareOptions> bad(7, good);
  bad[0].inputs = {};
  bad[1].inputs = {folder.Path("absent")};
  bad[2].inputs = {folder.Write("binary", std::string_view("a\0b", 3))};
  bad[3].sequence_length = 0;
  bad[4].validation_fraction = 1;
  bad[5].tokenizer = folder.Path("absent");
  bad[6].to = folder.Path();
  for (size_t i = 0; i < bad.size(); ++i) {
    const Status status = PrepareData(bad[i]);
    EXPECT_EQ(ExitCode(status), 2) << i << ": " << status;
  }
  EXPECT_FALSE(std::filesystem::exists(good.to));
}

}  // namespace
}  // namespace weft
