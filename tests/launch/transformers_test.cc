// Models that transformers wrote, through weft and back: the same logits, the same bytes, loaded again without a complaint.
//
// Needs WEFT_PYTHON, an interpreter with torch and transformers; what that side does is in transformers_models.py.
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

}  // namespace
}  // namespace weft
