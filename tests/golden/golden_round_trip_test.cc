// Models as transformers writes them survive import, checkpoint and export bit for bit: names, shapes, bytes, and what
// config.json says of the shape (tests/golden/README.md).
#include <gtest/gtest.h>

#include "checkpoint/hugging_face.h"
#include "core/file.h"
#include "tests/data/scratch_folder.h"
#include "tests/golden/golden_file.h"
#include "tests/model/tiny_model.h"
#include "trainer/train_state.h"

namespace weft {
namespace {

struct ForeignTensor {
  std::vector<uint64_t> shape;
  std::string dtype, bytes;
  bool operator==(const ForeignTensor&) const = default;
};

std::map<std::string, ForeignTensor> TensorsOf(const std::string& folder) {
  const StatusOr<SafetensorsFile> file = SafetensorsFile::Open(folder + "/model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  std::map<std::string, ForeignTensor> tensors;
  for (const SafetensorsEntry& entry : file->entries()) {
    tensors[entry.name] = {{entry.shape.begin(), entry.shape.end()}, entry.dtype, std::string(file->Data(entry))};
  }
  return tensors;
}

class GoldenRoundTrip : public testing::TestWithParam<std::string> {};

TEST_P(GoldenRoundTrip, KeepsEveryBit) {
  const std::string original = "tests/golden/" + GetParam() + "/model";
  const StatusOr<ModelConfig> config = ReadModelConfig(original);
  ASSERT_TRUE(config.ok()) << config.status();
  TinyRig rig(*config, 8);
  const Status loaded = LoadWeights(*rig.stream, rig.store, original);
  ASSERT_TRUE(loaded.ok()) << loaded;
  const ScratchFolder folder;
  const CheckpointInfo info = {.step = 1, .model_config_json = ModelConfigToJson(*config).dump()};
  const Status saved = SaveTrainState(*rig.stream, rig.store, folder.Path("run"), info, *rig.self);
  ASSERT_TRUE(saved.ok()) << saved;
  const Status exported = ExportHuggingFace(*FindCheckpoint(folder.Path("run")), folder.Path("model"));
  ASSERT_TRUE(exported.ok()) << exported;
  EXPECT_TRUE(TensorsOf(folder.Path("model")) == TensorsOf(original));
  const StatusOr<ModelConfig> again = ReadModelConfig(folder.Path("model"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ModelConfigToJson(*again), ModelConfigToJson(*config));
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenRoundTrip, testing::Values("llama", "llama_tied", "qwen2", "qwen3", "gpt2"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
