// `weft serve` and `weft generate` as users run them: a trained model answers, a signal ends it, a broken folder is one
// clear error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::Not;

class ServeVerb : public testing::Test {
 protected:
  // A folder as weft export leaves it.
  void SetUp() override {
    const std::string run = scratch_.path() + "/run";
    const JobResult trained = RunWeft("train configs/tiny.yaml --set device=cpu --set steps=2 --set data.path=" +
                                      SmallTokenStore() + " --set output=" + run);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    ASSERT_EQ(RunWeft("export " + run + " --to " + model_).exit_code, 0);
  }
  ScratchFolder scratch_;
  const std::string model_ = scratch_.path() + "/model";
};

// Starts a server, waits for its line, takes its port from there, asks it by bash's own sockets, ends it by a signal.
struct Question {
  std::string path, body;
};
const Question kText = {
    "/v1/completions", R"({"model": "tiny", "prompt": "int ", "max_tokens": 3, "temperature": 0, "ignore_eos": true})"};

std::string AskOnce(const std::string& model, const std::string& signal, const Question& question = kText) {
  return "log=$(mktemp); " + std::string(WEFT_BINARY) + " serve " + model +
         " --port 0 --model-name tiny 2>$log & server=$!\n"
         "for i in $(seq 600); do grep -q '^serving tiny at http://127.0.0.1:' $log && break; sleep 0.1; done\n"
         "port=$(sed -n 's/^serving.*://p' $log); rm $log\n"
         "exec 3<>/dev/tcp/127.0.0.1/$port\n"
         "body='" + question.body + "'\n"
         "printf 'POST " + question.path + " HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n%s' ${#body} \"$body\" >&3\n"
         "cat <&3\n"
         "kill -" + signal + " $server; wait $server";
}

TEST_F(ServeVerb, AnswersUntilASignalEndsIt) {
  for (const std::string signal : {"TERM", "INT"}) {
    const std::string script = scratch_.path() + "/ask";
    std::ofstream(script) << AskOnce(model_, signal);
    const JobResult job = RunShell("timeout 120 bash " + script);
    EXPECT_EQ(job.exit_code, 0) << job.err;
    EXPECT_THAT(job.out, HasSubstr("200 OK"));
    EXPECT_THAT(job.out, HasSubstr("\"completion_tokens\":3"));
  }
}

// examples/chat, as its README tells it: conversations, learnt by heart. The template that `weft data prepare` was given goes
// with the model, and its end of a turn ends the answer.
TEST(ChatExample, AnswersAsItWasTaught) {
  const ScratchFolder scratch;
  const std::string data = scratch.path() + "/chat.h5", run = scratch.path() + "/run", model = scratch.path() + "/model";
  const JobResult prepared = RunWeft("data prepare examples/chat/chat.jsonl --template examples/chat/chat.jinja "
                                     "--validation-fraction 0 --to " + data);
  ASSERT_EQ(prepared.exit_code, 0) << prepared.err;
  EXPECT_THAT(RunWeft("inspect data " + data + " --samples 1").out,
              HasSubstr("<|reserved_0|>user\nWhen does the library open?<|reserved_1|>\n<|reserved_0|>assistant\n"
                        "»At nine, from Monday to Saturday.<|reserved_1|>«"));
  const JobResult trained = RunWeft("train examples/chat/train.yaml --set data.path=" + data + " --set output=" + run);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  ASSERT_EQ(RunWeft("export " + run + " --to " + model).exit_code, 0);
  const std::string script = scratch.path() + "/ask";
  std::ofstream(script) << AskOnce(model, "TERM", {"/v1/chat/completions", R"({"messages": [
      {"role": "user", "content": "How many books may I borrow?"}], "temperature": 0})"});
  const JobResult job = RunShell("timeout 120 bash " + script);
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(job.out, HasSubstr(R"("message":{"role":"assistant","content":"Twelve at a time.","refusal":null})"));
  EXPECT_THAT(job.out, HasSubstr(R"("finish_reason":"stop")"));
}

TEST_F(ServeVerb, GenerateRepeatsItselfWithASeed) {
  const std::string ask = "generate " + model_ + " --prompt 'int ' --max-tokens 20 --seed 5 --ignore-eos";
  const JobResult first = RunWeft(ask);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.err, "");
  EXPECT_NE(first.out, "");
  EXPECT_EQ(RunWeft(ask).out, first.out);
  EXPECT_NE(RunWeft(ask + " --seed 6").out, first.out);
}

// What a model says of sampling goes through training and export, and counts where nothing else is asked for.
TEST_F(ServeVerb, SamplesAsTheModelBegunWithSays) {
  std::ofstream(model_ + "/generation_config.json") << R"({"do_sample": false, "top_k": 7, "repetition_penalty": 1.05})";
  const std::string run = scratch_.path() + "/tuned", tuned = scratch_.path() + "/tuned_model";
  const JobResult trained = RunWeft("train configs/tiny.yaml --set device=cpu --set steps=1 --set data.path=" + SmallTokenStore() +
                                    " --set model.path=" + model_ + " --set output=" + run);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  ASSERT_EQ(RunWeft("export " + run + " --to " + tuned).exit_code, 0);
  const std::string ask = "generate " + tuned + " --prompt 'int ' --max-tokens 20 --ignore-eos";
  const JobResult said = RunWeft(ask + " --seed 1");
  EXPECT_EQ(said.exit_code, 0) << said.err;
  EXPECT_EQ(said.err, tuned + "/generation_config.json: not honoured: repetition_penalty\n");
  EXPECT_EQ(RunWeft(ask + " --seed 2").out, said.out) << "the most likely tokens";
  EXPECT_EQ(RunWeft(ask + " --temperature 0").out, said.out);
  EXPECT_NE(RunWeft(ask + " --temperature 1 --top-k 0").out, said.out);
  std::ofstream(scratch_.path() + "/ask") << AskOnce(tuned, "TERM", {"/v1/completions",
      R"({"prompt": "int ", "max_tokens": 20, "ignore_eos": true})"});
  const JobResult served = RunShell("timeout 120 bash " + scratch_.path() + "/ask");
  EXPECT_EQ(served.exit_code, 0) << served.err;
  EXPECT_THAT(served.out, HasSubstr("200 OK"));
}

TEST_F(ServeVerb, GenerateTakesAPromptFromAFileToItsLastByte) {
  const std::string rest = " --context 16 --max-tokens 100 --temperature 0 --ignore-eos", file = model_ + "/prompt.txt";
  std::ofstream(file) << "int\n\n";
  const JobResult told = RunWeft("generate " + model_ + " --prompt 'int\n\n'" + rest);
  EXPECT_EQ(told.exit_code, 0) << told.err;
  for (const std::string& from : {file, "- < " + file}) {
    const JobResult read = RunWeft("generate " + model_ + rest + " --prompt-file " + from);
    EXPECT_EQ(read.out, told.out);
    EXPECT_EQ(read.err, told.err) << "tells the room that the prompt leaves";
  }
  EXPECT_NE(RunWeft("generate " + model_ + " --prompt int" + rest).err, told.err) << "line breaks count";
  const JobResult absent = RunWeft("generate " + model_ + " --prompt-file " + model_ + "/none.txt");
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.err, HasSubstr("none.txt"));
  EXPECT_NE(RunWeft("generate " + model_ + " --prompt a --prompt-file " + file).exit_code, 0) << "one or the other";
  const JobResult neither = RunWeft("generate " + model_);
  EXPECT_EQ(neither.exit_code, 2);
  EXPECT_THAT(neither.err, HasSubstr("give a text to continue"));
}

TEST_F(ServeVerb, BrokenFoldersAreOneErrorEach) {
  const auto refuse = [this](const std::string& what) {
    for (const std::string verb : {"generate", "serve"}) {
      const JobResult job = RunWeft(verb + " " + model_ + (verb == "serve" ? " --port 0" : " --prompt a"));
      EXPECT_EQ(job.exit_code, 2) << job.err;
      EXPECT_EQ(job.out, "");
      EXPECT_THAT(job.err, HasSubstr(what));
      EXPECT_EQ(job.err.find("weft: error:"), job.err.rfind("weft: error:")) << "one error:\n" << job.err;
    }
  };
  std::filesystem::resize_file(model_ + "/model.safetensors", 1000);
  refuse("model.safetensors");
  std::ofstream(model_ + "/tokenizer.json") << "{";
  refuse("tokenizer.json");
  std::filesystem::remove_all(model_);
  refuse(model_);
}

TEST(ServeVerbOptions, AreChecked) {
  EXPECT_EQ(RunWeft("serve docs --port 70000").exit_code, 2);
  EXPECT_EQ(RunWeft("serve docs --slots 0").exit_code, 2);
  EXPECT_EQ(RunWeft("serve docs --dtype int8").exit_code, 2);
  EXPECT_EQ(RunWeft("serve").exit_code, 2);
}

}  // namespace
}  // namespace weft
