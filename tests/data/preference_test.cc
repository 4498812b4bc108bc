// Preference pairs of every form: what is prompt, what is answer, and which keys errors name.
#include "data/preference.h"

#include <algorithm>

#include "data/jinja/json_value.h"
#include "data/prepare.h"
#include "data/token_store_hdf5.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::HasSubstr;

// "user:q assistant:[a]", what the loss counts in brackets; of texts "q[a]".
std::string Shown(const Sample& sample) {
  if (sample.kind == Sample::Kind::kPromptCompletion) return sample.prompt + "[" + sample.text + "]";
  std::string shown;
  for (size_t i = 0; i < sample.in_loss.size(); ++i) {
    const jinja::Dict& message = *sample.messages.AsList()->items[i].AsDict();
    const std::string content = message.Find("content")->AsText()->bytes();
    shown += (shown.empty() ? "" : " ") + message.Find("role")->AsText()->bytes() + ":" +
             (sample.in_loss[i] != 0 ? "[" + content + "]" : content);
  }
  return shown;
}

StatusOr<Sample> Read(std::string_view json, const RecordReading& reading = {}) {
  WEFT_ASSIGN_OR_RETURN(const jinja::Value record, jinja::ParseJsonValue(json, "record"));
  return ReadSample(record, reading);
}

TEST(PreferenceTest, ReadsEveryForm) {
  struct Case {
    const char *record, *chosen, *rejected;
  };
  const Case cases[] = {
      {R"({"prompt": "q", "chosen": "a", "rejected": "b"})", "q[a]", "q[b]"},
      {R"({"chosen": "\n\nHuman: hi\n\nAssistant: yes", "rejected": "\n\nHuman: hi\n\nAssistant: yawn"})",
       "\n\nHuman: hi\n\nAssistant:[ yes]", "\n\nHuman: hi\n\nAssistant:[ yawn]"},
      {R"({"chosen": "Human: h\nAssistant: A list:\n1. a\n", "rejected": "Human: h\nAssistant: A list:\n1. b\n"})",
       "Human: h\nAssistant:[ A list:\n1. a\n]", "Human: h\nAssistant:[ A list:\n1. b\n]"},
      {R"({"chosen": "q\nyes", "rejected": "q\nyes, but"})", "q\n[yes]", "q\n[yes, but]"},
      {R"({"chosen": "q\n\u00e9", "rejected": "q\n\u00e8"})", "q\n[é]", "q\n[è]"},  // they share a byte, and no character
      {R"({"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "a"}],
           "rejected": [{"role": "assistant", "content": "b"}]})", "user:q assistant:[a]", "user:q assistant:[b]"},
      {R"({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "w"}, {"role": "user", "content": "r"},
                      {"role": "assistant", "content": "a"}],
           "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "w"}, {"role": "user", "content": "r"},
                      {"role": "assistant", "content": "b"}]})",
       "user:q assistant:w user:r assistant:[a]", "user:q assistant:w user:r assistant:[b]"},
      {R"({"prompt": "q", "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
           "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
       "user:q assistant:[a]", "user:q assistant:[b]"},
      // ultrafeedback_binarized: `messages` is the chosen conversation again
      {R"({"prompt": "q", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
           "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
           "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
       "user:q assistant:[a]", "user:q assistant:[b]"},
      {R"({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
           "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
           "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
       "system:s user:q assistant:[a]", "system:s user:q assistant:[b]"},
      {R"({"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "user", "content": "q"}, {"role": "assistant",
           "content": "a"}], "rejected": "b"})", "user:q assistant:[a]", "user:q assistant:[b]"},
      {R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "w"}],
           "chosen": [{"role": "user", "content": "r"}, {"role": "assistant", "content": "a"}],
           "rejected": [{"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]})",
       "user:q assistant:w user:r assistant:[a]", "user:q assistant:w user:r assistant:[b]"},
      {R"({"prompt": "q", "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]})",
       "user:q assistant:[a]", "user:q assistant:[b]"},
      {R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "w"}, {"from": "human", "value": "r"}],
           "system": "s", "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}})",
       "system:s user:q assistant:w user:r assistant:[a]", "system:s user:q assistant:w user:r assistant:[b]"},
      {R"({"messages": [{"role": "user", "content": "q"}], "chosen": {"role": "assistant", "content": "a"},
           "rejected": {"role": "assistant", "content": "b"}})", "user:q assistant:[a]", "user:q assistant:[b]"},
      {R"({"instruction": "q", "input": "i", "chosen": "a", "rejected": "b"})", "user:q\ni assistant:[a]", "user:q\ni assistant:[b]"},
  };
  for (const Case& c : cases) {
    const StatusOr<Sample> sample = Read(c.record);
    ASSERT_TRUE(sample.ok()) << sample.status() << ": " << c.record;
    EXPECT_EQ(Shown(*sample), c.chosen);
    ASSERT_NE(sample->rejected, nullptr);
    EXPECT_EQ(Shown(*sample->rejected), c.rejected);
  }
  const StatusOr<Sample> renamed = Read(R"({"q": "q", "good": "a", "bad": "b"})",
                                        {.format = {}, .columns = {{"prompt", "q"}, {"chosen", "good"}, {"rejected", "bad"}}});
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_EQ(Shown(*renamed->rejected), "q[b]");
}

TEST(PreferenceTest, ErrorsNameTheKey) {
  struct Case {
    const char *record, *error;
  };
  const Case cases[] = {
      {R"({"prompt": "q", "chosen": "a"})", "without a 'rejected'"},
      {R"({"prompt": "q", "rejected": "a"})", "without a 'chosen'"},
      {R"({"prompt": "q", "chosen": 5, "rejected": "b"})", "chosen: expected a text, a message or a list of messages, found int"},
      {R"({"prompt": "q", "chosen": [{"role": "assistant"}], "rejected": "b"})", "chosen: [0]: expected 'content'"},
      {R"({"prompt": [{"role": "user", "content": "q"}], "chosen": "a", "rejected": [{"role": "user", "content": "b"}]})",
       "rejected: there is no answer of the assistant"},
      {R"({"chosen": "a", "rejected": "b"})", "there is no 'prompt', and chosen and rejected share no beginning"},
      {R"({"chosen": "Who am I? Yes", "rejected": "Who am I? Yesterday"})", "share no beginning that ends with a line"},
      {R"({"chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]})",
       "do not begin with the same messages"},
      {R"({"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
           "chosen": [{"role": "assistant", "content": "a"}], "rejected": "b"})", "chosen: there is no answer of the assistant"},
      {R"({"conversations": [{"from": "elf", "value": "q"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": "b"})",
       "conversations[0]: from: 'elf'"},
      {R"({"prompt": "q", "completion": "a", "label": true})", "an answer with a verdict (label)"},
      {R"({"prompt": "q", "completion": "a", "label": 0})", "an answer with a verdict (label)"},
      {R"({"prompt": "q", "completion": "a", "label": 1.0})", "an answer with a verdict (label)"},
      {R"({"messages": [{"role": "user", "content": "q"}], "kto_tag": false})", "an answer with a verdict (kto_tag)"},
  };
  for (const Case& c : cases) {
    const Status status = Read(c.record).status();
    EXPECT_EQ(ExitCode(status), 2) << c.record;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.error)) << c.record;
  }
}

TEST(PreferenceTest, VerdictsAreRefusedInCsvToo) {
  const ScratchFolder folder;
  for (const char* label : {"True", "false", "1", "0"}) {
    const std::string rows = std::string("prompt,completion,label\nq,a,") + label + "\n";
    const PrepareOptions options{.inputs = {folder.Write("in.csv", rows)}, .to = folder.Path("data.h5"), .tokenizer = ""};
    const Status status = PrepareData(options);
    EXPECT_EQ(ExitCode(status), 2) << label;
    EXPECT_THAT(std::string(status.message()), HasSubstr("in.csv:2: an answer with a verdict (label)"));
  }
  const PrepareOptions other{.inputs = {folder.Write("in.csv", "prompt,completion,label\nq,a,sports\n")},
                             .to = folder.Path("data.h5"), .tokenizer = ""};
  EXPECT_TRUE(PrepareData(other).ok());  // a class, not a verdict
}

TEST(PreferenceTest, PairsThatPreferNothingAreDroppedAndCounted) {
  const char* kUndecided[] = {
      R"({"prompt": "q", "chosen": "a", "rejected": "a"})",
      R"({"chosen": "q\na", "rejected": "q\na"})",
      R"({"chosen": "Human: q\nAssistant: a", "rejected": "Human: q\nAssistant: "})",
      R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
          "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
          "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})",
  };
  std::string lines = R"({"prompt": "q", "chosen": "a", "rejected": "b"})" "\n";
  for (const char* record : kUndecided) {
    const StatusOr<Sample> sample = Read(record);
    ASSERT_TRUE(sample.ok()) << sample.status() << ": " << record;
    EXPECT_TRUE(sample->is_undecided) << record;
    std::string line = record;
    std::replace(line.begin(), line.end(), '\n', ' ');
    lines += line + "\n";
  }
  const ScratchFolder folder;
  const PrepareOptions options{.inputs = {folder.Write("in.jsonl", lines)}, .to = folder.Path("data.h5"), .tokenizer = "",
                               .preferences = "chosen"};
  testing::internal::CaptureStderr();
  const Status status = PrepareData(options);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("preference pairs whose answers do not differ: 4"));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ((*TokenStore::Open(options.to))->num_documents(), 1);
}

TEST(PreferenceTest, PrepareLearnsTheChosenAnswersWhereAsked) {
  const ScratchFolder folder;
  PrepareOptions options{.inputs = {folder.Write("in.jsonl", R"({"prompt": "q", "chosen": "a", "rejected": "b"})")},
                         .to = folder.Path("data.h5"), .tokenizer = ""};
  const Status refused = PrepareData(options);
  EXPECT_EQ(ExitCode(refused), 2);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("in.jsonl:1: a preference pair (chosen, rejected)"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--preferences chosen"));
  options.preferences = "rejected";
  EXPECT_THAT(std::string(PrepareData(options).message()), HasSubstr("expected chosen"));
  options.preferences = "chosen";
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ((*TokenStore::Open(options.to))->num_tokens(), 4);  // <|begin_of_text|>, q, a, <|endoftext|>
}

}  // namespace
}  // namespace weft
