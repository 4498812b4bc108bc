// `weft data prepare` on small files: which are read, in what order, with any number of threads, and its errors.
#include "data/prepare.h"

#include <filesystem>

#include "core/file.h"
#include "data/chat_template.h"
#include "data/inspect.h"
#include "data/record_source.h"
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

TEST(PrepareTest, SaysWhyNothingIsLeftToLearnFrom) {
  const ScratchFolder folder;
  folder.Write("in/empty.txt", "");
  folder.Write("in/latin1.txt", "caf\xE9");
  folder.Write("in/.hidden", "hidden");
  const Status status = PrepareData({.inputs = {folder.Path("in")}, .to = folder.Path("data.h5"), .tokenizer = ""});
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_EQ(status.message(), "the inputs hold no text to learn from; skipped: files that are not text: 1, hidden files and links: 1, "
                              "empty documents: 1");
}

TEST(PrepareTest, CountsMessagesThatTheTemplateLeavesOut) {
  const ScratchFolder folder;
  PrepareOptions options = {.inputs = {folder.Write("chat.jsonl",
                                R"({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "q"}, )"
                                R"({"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": )"
                                R"({"name": "f", "arguments": {}}}]}, {"role": "assistant", "content": "a"}]})" "\n")},
                            .to = folder.Path("data.h5"), .tokenizer = ""};
  const auto left_out = [&](const std::string& said) {
    options.chat_template = folder.Write("t.jinja", "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]" + said + "{% endif %}{% endfor %}");
    const Status status = PrepareData(options);
    EXPECT_TRUE(status.ok()) << status;
    return *InspectData(options.to);
  };
  EXPECT_THAT(left_out("{{ m.content }}"), HasSubstr("\"messages_that_the_template_leaves_out\": 2"));
  EXPECT_THAT(left_out("{{ m.content or m.tool_calls }}"), HasSubstr("\"messages_that_the_template_leaves_out\": 1"));
  options.keep_system = true;
  EXPECT_THAT(left_out("{{ m.content or m.tool_calls }}"), HasSubstr("\"messages_that_the_template_leaves_out\": 0"));
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

// Cut behind line breaks, or between characters; the texts put together are the file.
TEST(PrepareTest, CutsLargeTextsIntoDocuments) {
  const ScratchFolder folder;
  folder.Write("in/a.txt", "one\ntwo\nthree four\nééééééééé\n\nlast");
  folder.Write("in/b.txt", "0123456789");
  folder.Write("in/half.txt", "this begins as text\n\xE9 and is none");
  const PrepareOptions options{.inputs = {folder.Path("in")}, .to = folder.Path("data.h5"), .tokenizer = "", .max_text_bytes = 11};
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(DocumentsOf(options.to),
              ElementsAre("one\ntwo\n", "three four\n", "ééééé", "éééé\n\n", "last", "0123456789"));
}

TEST(PrepareTest, SaysWhichDocumentHasTooManyTokens) {
  const ScratchFolder folder;
  const std::string path = folder.Write("in.txt", "short\nlonger line\n");
  PrepareOptions options{.inputs = {path}, .to = folder.Path("data.h5"), .tokenizer = "", .sequence_length = 8, .max_text_bytes = 12,
                         .max_sample_tokens = 10};
  const Status status = PrepareData(options);
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_EQ(status.message(), path + ", from byte 6: 14 tokens are too many for one document; at most 10 are taken: cut it into "
                                     "several, or choose --too-long cut or drop");
  options.too_long = "cut";
  EXPECT_TRUE(PrepareData(options).ok());
}

// As in a published GPT-2's folder, whose tokenizer_config.json names no tokens.
TEST(PrepareTest, FindsTheTokensThatEndTextsBesideTheTokenizer) {
  const ScratchFolder folder;
  folder.Write("m/tokenizer.json", Tokenizer::ByteLevel()->json());
  folder.Write("m/tokenizer_config.json", R"({"model_max_length": 1024})");
  const PrepareOptions options{.inputs = {folder.Write("in.txt", "a text")}, .to = folder.Path("data.h5"), .tokenizer = folder.Path("m")};
  const Status status = PrepareData(options);
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_THAT(std::string(status.message()), HasSubstr("names no eos_token"));
  const auto roles_with = [&](const std::string& file, const std::string& text) {
    folder.Write("m/" + file, text);
    const Status prepared = PrepareData(options);
    EXPECT_TRUE(prepared.ok()) << prepared;
    const auto store = TokenStore::Open(options.to);
    const auto carried = Tokenizer::Parse((*store)->tokenizer_json(), (*store)->tokenizer_config_json(), "store");
    EXPECT_THAT((*store)->tokenizer_config_json(), HasSubstr("\"model_max_length\": 1024"));
    return std::pair((*carried)->bos_id().value_or(-1), (*carried)->eos_id().value_or(-1));
  };
  EXPECT_EQ(roles_with("config.json", R"({"bos_token_id": 50256, "eos_token_id": [257, 258]})"), std::pair(-1, 257))
      << "a first id; none that the tokenizer lacks";
  EXPECT_EQ(roles_with("generation_config.json", R"({"bos_token_id": 257, "eos_token_id": 258})"), std::pair(257, 258));
  EXPECT_EQ(roles_with("special_tokens_map.json", R"({"bos_token": "<|none|>", "eos_token": {"content": "<|endoftext|>"}})"),
            std::pair(257, 257));
  EXPECT_EQ(roles_with("tokenizer_config.json", R"({"model_max_length": 1024, "bos_token": null, "eos_token": "<|pad|>"})"),
            std::pair(-1, 258));
}

// What of the data reaches a terminal is shown, and not obeyed.
TEST(PrepareTest, SamplesShowControlCharacters) {
  const ScratchFolder folder;
  const PrepareOptions options{.inputs = {folder.Write("in.txt", "red\x1b[31m\a\x7f\r\n\té\u009b2J")}, .to = folder.Path("data.h5"),
                               .tokenizer = ""};
  ASSERT_TRUE(PrepareData(options).ok());
  EXPECT_THAT(*InspectData(options.to, {.num_samples = 1}), HasSubstr("red\\x1b[31m\\x07\\x7f\\x0d\n\té\\u009b2J"));
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

// The folder of parts holds somebody's file: the store is whole all the same, and so is the file.
TEST(PrepareTest, AFolderOfPartsThatStaysIsNoError) {
  const ScratchFolder folder;
  const std::string notes = folder.Write("data.h5.parts/notes.txt", "mine");
  const PrepareOptions options{.inputs = {folder.Write("in.txt", "a text")}, .to = folder.Path("data.h5"), .tokenizer = ""};
  testing::internal::CaptureStderr();
  const Status status = PrepareData(options);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(said, HasSubstr("the store is whole, but cannot remove"));
  EXPECT_THAT(said, HasSubstr("no document is kept for validation: there is only one"));
  EXPECT_TRUE(TokenStore::Open(options.to).ok());
  EXPECT_TRUE(std::filesystem::exists(notes));
}

// A file of one line, and none of it read into memory.
TEST(PrepareTest, RefusesALineThatIsTooLargeForARecord) {
  const ScratchFolder folder;
  const PrepareOptions options{.inputs = {folder.Write("in.jsonl", "\n{")}, .to = folder.Path("data.h5"), .tokenizer = ""};
  std::filesystem::resize_file(options.inputs[0], kMaxRecordBytes + 2);  // zeros that take no room
  const Status status = PrepareData(options);
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_THAT(std::string(status.message()), HasSubstr("in.jsonl:2: larger than 268435456 bytes"));
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

// A document as its text, what the loss counts between [ and ].
std::string Shown(const TokenStore& store, int64_t document) {
  const TokenRange range = store.Document(document);
  std::vector<int32_t> tokens(range.length);
  std::vector<uint8_t> mask(range.length);
  EXPECT_TRUE(store.Read(range, absl::MakeSpan(tokens), absl::MakeSpan(mask)).ok());
  auto tokenizer = Tokenizer::Parse(store.tokenizer_json(), store.tokenizer_config_json(), "store");
  std::string shown;
  bool inside = false;
  for (int64_t i = 0; i < range.length; ++i) {
    if ((mask[i] != 0) != inside) shown += (inside = !inside) ? "[" : "]";
    shown += (*tokenizer)->Decode({tokens[i]}, /*skip_special=*/false);
  }
  return inside ? shown + "]" : shown;
}

std::vector<std::string> AllShown(const std::string& path) {
  auto store = TokenStore::Open(path);
  EXPECT_TRUE(store.ok()) << store.status();
  std::vector<std::string> shown;
  for (int64_t d = 0; store.ok() && d < (*store)->num_documents(); ++d) shown.push_back(Shown(**store, d));
  return shown;
}

constexpr char kTemplate[] =
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{{ eos_token if m.role == 'assistant' else '\n' }}{% endfor %}";

TEST(PrepareTest, RecognisesConversationFormats) {
  const ScratchFolder folder;
  const std::string records =
      R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})" "\n"
      R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"})" "\n"
      R"({"instruction": "q", "input": "i", "output": "a", "history": [["x", "y"]]})" "\n"
      R"({"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "w"}, {"role": "user", "content": "r"}],)"
      R"( "completion": [{"role": "assistant", "content": "a"}]})" "\n"
      R"({"messages": [{"role": "assistant", "content": "n", "weight": 0}, {"role": "assistant", "content": "a"}]})" "\n"
      R"({"prompt": "q", "completion": "a"})" "\n"
      R"({"text": "t"})" "\n"
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]},)"
      R"( {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]})" "\n";
  const PrepareOptions options{.inputs = {folder.Write("in.jsonl", records)}, .to = folder.Path("data.h5"), .tokenizer = "",
                               .columns = {}, .chat_template = folder.Write("t.jinja", kTemplate)};
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(AllShown(options.to),
              ElementsAre("u:q\na:[a<|endoftext|>]", "s:s\nu:q\na:[a<|endoftext|>]",
                          "u:x\na:[y<|endoftext|>]u:q\ni\na:[a<|endoftext|>]",
                          "u:q\na:w<|endoftext|>u:r\na:[a<|endoftext|>]", "a:n<|endoftext|>a:[a<|endoftext|>]",
                          "u:q\na:[a<|endoftext|>]", "[<|begin_of_text|>t<|endoftext|>]", "u:qr\na:[a<|endoftext|>]"));
  auto text = InspectData(options.to, {.num_samples = 2});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("u:q\na:»a<|endoftext|>«"));
}

TEST(PrepareTest, ReadsTheCallsOfShareGpt) {
  const ScratchFolder folder;
  const auto talk = [](const std::string& value) {
    return R"({"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": )" + value +
           R"(}, {"from": "observation", "value": "o"}]})" + "\n";
  };
  const std::string records = talk(R"("{\"name\": \"f\", \"arguments\": {\"x\": 1}}")") +
                              talk(R"("[{\"name\": \"f\", \"arguments\": \"{}\"}, {\"name\": \"g\", \"arguments\": {}}]")") +
                              talk("\"f(1)\"") + talk(R"("{\"name\": \"f\"}")") +
                              talk(R"("[{\"name\": \"f\", \"arguments\": {}}, 5]")") + talk(R"("[]")");
  const std::string source =
      "{% for m in messages %}{{ m.role[0] }}:{{ m.content or '' }}{% for c in m.tool_calls or [] %}"
      "<{{ c.type }} {{ c.function.name }} {{ c.function.arguments | tojson }}>{% endfor %}{{ eos_token }}{% endfor %}";
  const PrepareOptions options{.inputs = {folder.Write("in.jsonl", records)}, .to = folder.Path("data.h5"), .tokenizer = "",
                               .columns = {}, .chat_template = folder.Write("t.jinja", source)};
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  const std::string before = "u:q<|endoftext|>a:", after = "<|endoftext|>]t:o<|endoftext|>";
  EXPECT_THAT(AllShown(options.to),
              ElementsAre(before + R"(<[function f {"x": 1}>)" + after, before + "<[function f {}><function g {}>" + after,
                          before + "[f(1)" + after, before + R"([{"name": "f"})" + after,
                          before + R"([[{"name": "f", "arguments": {}}, 5])" + after, before + "[[]" + after));
}

TEST(PrepareTest, StoresTheTemplateThatItRenderedBy) {
  const ScratchFolder folder;
  ASSERT_TRUE(Tokenizer::ByteLevel()->Save(folder.Path("tokenizer")).ok());
  const std::string talk = R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})";
  PrepareOptions options{.inputs = {folder.Write("in.jsonl", talk)}, .to = folder.Path("data.h5"),
                         .tokenizer = folder.Path("tokenizer"), .columns = {}, .chat_template = folder.Write("t.jinja", kTemplate)};
  const auto stored = [&options] {
    const Status status = PrepareData(options);
    EXPECT_TRUE(status.ok()) << status;
    return ChatTemplate::OfModel("", (*TokenStore::Open(options.to))->tokenizer_config_json());
  };
  EXPECT_EQ(stored()->source(), kTemplate);
  folder.Write("tokenizer/chat_template.jinja", std::string("{# beside #}") + kTemplate);
  EXPECT_EQ(stored()->source(), kTemplate) << "the named one counts";
  options.chat_template = "";
  EXPECT_EQ(stored()->source(), std::string("{# beside #}") + kTemplate);
  std::filesystem::remove(folder.Path("tokenizer/chat_template.jinja"));
  options.inputs = {folder.Write("in.txt", "text")};
  EXPECT_FALSE(stored().ok()) << "there is none";
}

TEST(PrepareTest, JoinsPromptAndCompletionWithoutATemplate) {
  const ScratchFolder folder;
  const PrepareOptions options{.inputs = {folder.Write("in.jsonl", R"({"question": "1+1=", "answer": "2 <|endoftext|>"})")},
                               .to = folder.Path("data.h5"), .tokenizer = "", .columns = {"prompt=question", "completion=answer"}};
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(AllShown(options.to), ElementsAre("<|begin_of_text|>1+1=[2 <|endoftext|><|endoftext|>]"));
  EXPECT_EQ((*TokenStore::Open(options.to))->num_tokens(), 1 + 4 + 15 + 1);  // the answer's <|endoftext|> is 13 bytes of text
}

TEST(PrepareTest, DropsOrCutsWhatIsTooLongAndWhatTheLossNeverSees) {
  const ScratchFolder folder;
  const std::string records = R"({"prompt": "0123456789", "completion": "x"})" "\n" R"({"prompt": "0", "completion": "12345"})" "\n"
                              R"({"text": "0123456789"})" "\n";
  PrepareOptions options{.inputs = {folder.Write("in.jsonl", records)}, .to = folder.Path("data.h5"), .tokenizer = "",
                         .sequence_length = 4, .columns = {}, .too_long = "cut"};
  ASSERT_TRUE(PrepareData(options).ok());
  EXPECT_THAT(AllShown(options.to), ElementsAre("<|begin_of_text|>0[123]", "[<|begin_of_text|>0123]"));
  EXPECT_THAT(*InspectData(options.to), HasSubstr("\"documents_without_loss_dropped\": 1"));
  options.sequence_length = 8;
  options.too_long = "drop";
  ASSERT_TRUE(PrepareData(options).ok());
  EXPECT_THAT(AllShown(options.to), ElementsAre("<|begin_of_text|>0[12345<|endoftext|>]"));
  EXPECT_THAT(*InspectData(options.to), HasSubstr("\"too_long_documents_dropped\": 2"));
}

TEST(PrepareTest, RefusesRecordsByName) {
  const ScratchFolder folder;
  struct Case {
    std::string record, message;
  };
  const Case cases[] = {
      {R"({"prompt": "p", "chosen": "c", "rejected": "r"})", "in.jsonl:1: a preference pair"},
      {R"({"input_ids": [1]})", "in.jsonl:1: tokens already"},
      {R"({"question": "p"})", "its keys are 'question'"},
      {R"({"messages": [{"role": "user"}]})", "messages[0]: expected 'content' or 'tool_calls'"},
      {R"({"messages": [{"content": "x"}]})", "messages[0]: expected a string 'role'"},
      {R"({"messages": [{"role": "assistant", "content": "x", "weight": 0.5}]})", "weight: expected 0 or 1"},
      {R"({"conversations": [{"from": "elf", "value": "x"}]})", "conversations[0]: from: 'elf' is not known"},
      {R"({"messages": []})", "has no messages"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]}]})",
       "messages[0]: content[1]: parts of type 'image_url' are not supported"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})", "content[0]: expected a string 'text'"},
      {R"({"messages": [{"role": "user", "content": ["x"]}]})", "content[0]: expected a part with a string 'type'"},
      {R"({"messages": [{"role": "user", "content": 5}]})", "content: expected a text or a list of parts, found int"},
      {R"({"messages": [{"role": "user", "content": "x"}]})", "no chat template"},
  };
  for (const Case& c : cases) {
    const PrepareOptions options{.inputs = {folder.Write("in.jsonl", c.record)}, .to = folder.Path("data.h5"), .tokenizer = ""};
    const Status status = PrepareData(options);
    EXPECT_EQ(ExitCode(status), 2) << c.record;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
  PrepareOptions options{.inputs = {folder.Write("in.jsonl", R"({"text": "x"})")}, .to = folder.Path("data.h5"), .tokenizer = ""};
  options.format = "parquet";
  EXPECT_THAT(std::string(PrepareData(options).message()), HasSubstr("expected messages, sharegpt"));
  options.format = "";
  options.columns = {"nosuch=x"};
  EXPECT_THAT(std::string(PrepareData(options).message()), HasSubstr("there is no key 'nosuch'"));
  options.columns = {};
  options.too_long = "shrink";
  EXPECT_THAT(std::string(PrepareData(options).message()), HasSubstr("expected split, cut or drop"));
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
