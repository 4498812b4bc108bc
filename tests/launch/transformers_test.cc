// Models that transformers wrote, through weft and back: the same logits, the same bytes, loaded again without a complaint.
//
// Needs WEFT_PYTHON, an interpreter with torch and transformers; what that side does is in transformers_models.py. With
// WEFT_LLAMA_CPP, a folder of llama.cpp's sources, its converter is given exports, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "checkpoint/safetensors.h"
#include "inference/model.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

constexpr double kBound = 1e-4;  // relative L2 of logits, f32

class Transformers : public testing::Test {
 protected:
  void SetUp() override {
    const char* python = std::getenv("WEFT_PYTHON");
    if (python == nullptr) GTEST_SKIP() << "WEFT_PYTHON names no Python with torch and transformers";
    python_ = python;
    const JobResult imported = RunShell(python_ + " -c 'import torch, transformers, safetensors'");
    if (imported.exit_code != 0) GTEST_SKIP() << python_ << " has no torch, transformers and safetensors";
  }
  JobResult Script(const std::string& arguments) {
    return RunShell("HF_HUB_OFFLINE=1 " + python_ + " -B tests/launch/transformers_models.py " + arguments);
  }
  // Takes the model in, leaves its weights where they are for one step, and writes it out again.
  void ThroughWeft(const std::string& folder, const std::string& dtype) {
    const std::string run = folder + "/run";
    const JobResult trained =
        RunWeft("train configs/tiny.yaml --set device=cpu --set steps=1 --set optimizer.params.lr=1e-30 "
                "--set scheduler.type=constant --set scheduler.params={} --set model.path=" + folder +
                "/model --set data.path=" + SmallTokenStore() + " --set data.sequence_length=64 --set output=" + run);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const JobResult exported = RunWeft("export " + run + " --to " + folder + "/exported --dtype " + dtype);
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
    std::filesystem::remove_all(run);
  }

  std::string python_;
  ScratchFolder scratch_;
};

template <typename T>
std::vector<T> Read(const SafetensorsFile& file, const std::string& name) {
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.name != name) continue;
    const std::string_view data = file.Data(entry);
    std::vector<T> values(data.size() / sizeof(T));
    std::memcpy(values.data(), data.data(), data.size());
    return values;
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

// |ours - theirs| / |theirs| of the logits of a case.
double Distance(const std::string& folder) {
  const StatusOr<SafetensorsFile> expected = SafetensorsFile::Open(folder + "/logits.safetensors");
  EXPECT_TRUE(expected.ok()) << expected.status();
  const StatusOr<std::unique_ptr<InferenceModel>> model = InferenceModel::Load(folder + "/model", {});
  EXPECT_TRUE(model.ok()) << model.status();
  if (!expected.ok() || !model.ok()) return 1;
  const std::vector<int64_t> ids = Read<int64_t>(*expected, "tokens");
  const std::vector<int32_t> tokens(ids.begin(), ids.end());
  const std::vector<float> theirs = Read<float>(*expected, "logits"), ours = (*model)->AllLogits(tokens);
  EXPECT_EQ(ours.size(), theirs.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    difference += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
    norm += theirs[i] * theirs[i];
  }
  return std::sqrt(difference / norm);
}

TEST_F(Transformers, FindsItsModelsAsItWroteThem) {
  const JobResult written = Script("write " + scratch_.path());
  ASSERT_EQ(written.exit_code, 0) << written.err;
  std::set<std::string> cases;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.path())) cases.insert(entry.path().string());
  ASSERT_GE(cases.size(), 14u);
  for (const std::string& folder : cases) {
    SCOPED_TRACE(folder);
    EXPECT_LT(Distance(folder), kBound);
    ThroughWeft(folder, folder.ends_with("_bf16") ? "bf16" : "f32");
  }
  const JobResult checked = Script("check " + scratch_.path());
  EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
}

TEST_F(Transformers, FindsTheTemplateThatWasNamed) {
  const std::string folder = scratch_.path(), data = folder + "/data.h5";
  std::ofstream(folder + "/t.jinja") << "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}\n{% endfor %}"
                                        "{% if add_generation_prompt %}[assistant]{% endif %}";
  std::ofstream(folder + "/talk.jsonl")
      << R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})" "\n";
  const JobResult prepared = RunWeft("data prepare " + folder + "/talk.jsonl --template " + folder + "/t.jinja --to " + data);
  ASSERT_EQ(prepared.exit_code, 0) << prepared.err;
  const JobResult trained = RunWeft("train configs/tiny.yaml --set device=cpu --set steps=1 --set data.path=" + data +
                                    " --set output=" + folder + "/run");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  ASSERT_EQ(RunWeft("export " + folder + "/run --to " + folder + "/model").exit_code, 0);
  const JobResult told = Script("chat " + folder + "/model");
  EXPECT_EQ(told.out, "[user] Who are you?<|endoftext|>\n[assistant]") << told.err;
}

// llama.cpp's convert_hf_to_gguf.py takes exports. It knows tokenizers by a list, so these are published ones.
struct Gguf {
  std::string name, tokenizer, tokenizer_config, settings, told;
};
TEST_F(Transformers, LlamaCppConvertsExports) {
  const char *const llama_cpp = std::getenv("WEFT_LLAMA_CPP"), *const fixtures = std::getenv("WEFT_FIXTURES");
  if (llama_cpp == nullptr || fixtures == nullptr) GTEST_SKIP() << "WEFT_LLAMA_CPP and WEFT_FIXTURES name no llama.cpp's sources and fixtures";
  const std::string gpt2 = "/tokenizers/gpt2/tokenizer.json", qwen = "/tokenizers/qwen2.5/tokenizer.json", llama = "/models/stories260K/hf/tokenizer.json";
  const std::string gpt2_config = R"({"tokenizer_class": "GPT2Tokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"})";
  const std::string qwen_config = R"({"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"})";
  const std::string llama_config = R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})";
  const Gguf cases[] = {
      {"llama", llama, llama_config, "--set model.model_type=llama --set model.vocab_size=512", "llama 512 2\n"},
      {"llama_gpt2", gpt2, gpt2_config, "--set model.model_type=llama --set model.vocab_size=50257", "llama 50257 50256\n"},
      {"mistral", llama, llama_config, "--set model.model_type=mistral --set model.vocab_size=512", "llama 512 2\n"},
      {"qwen2", qwen, qwen_config, "--set model.model_type=qwen2 --set model.vocab_size=151936", "qwen2 151936 151645\n"},
      {"qwen3", qwen, qwen_config, "--set model.model_type=qwen3 --set model.vocab_size=151936", "qwen3 151936 151645\n"},
      {"gpt2", gpt2, gpt2_config, "--set model.model_type=gpt2 --set model.vocab_size=50257 --set model.num_key_value_heads=4 "
                                  "--set model.intermediate_size=256", "gpt2 50257 50256\n"}};
  for (const Gguf& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string folder = scratch_.path() + "/" + c.name, model = folder + "/model";
    std::filesystem::create_directories(folder + "/tokenizer");
    std::filesystem::copy_file(fixtures + c.tokenizer, folder + "/tokenizer/tokenizer.json");
    std::ofstream(folder + "/tokenizer/tokenizer_config.json") << c.tokenizer_config;
    ASSERT_EQ(RunWeft("data prepare README.md --tokenizer " + folder + "/tokenizer --to " + folder + "/data.h5").exit_code, 0);
    const JobResult trained = RunWeft("train configs/tiny.yaml --set device=cpu --set steps=1 --set train_batch_size=1 --set eval.batches=1 " +
                                      c.settings + " --set data.path=" + folder + "/data.h5 --set output=" + folder + "/run");
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    ASSERT_EQ(RunWeft("export " + folder + "/run --to " + model).exit_code, 0);
    const std::string path = std::string("PYTHONPATH=") + llama_cpp + "/gguf-py ";
    const JobResult converted = RunShell(path + python_ + " " + llama_cpp + "/convert_hf_to_gguf.py " + model + " --outtype f32 --outfile " +
                                         model + ".gguf");
    ASSERT_EQ(converted.exit_code, 0) << converted.err;
    const JobResult told = RunShell(path + "HF_HUB_OFFLINE=1 " + python_ + " -B tests/launch/transformers_models.py gguf " + model);
    EXPECT_EQ(told.exit_code, 0) << told.err;
    EXPECT_EQ(told.out, c.told);
  }
}

}  // namespace
}  // namespace weft
