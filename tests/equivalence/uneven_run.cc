// Documents with uneven loss masks, and the run that learns them (see uneven_run.h).
#include "tests/equivalence/uneven_run.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/rng.h"
#include "data/token_store_hdf5.h"

namespace weft {
namespace {

constexpr int32_t kVocabSize = 80;  // four ranks of tensor parallelism hold 20 rows each; three of ZeRO 26.7
constexpr int kNumTrainingDocuments = 400;
constexpr int kNumValidationDocuments = 50;  // sequences enough for several evaluation plans, the last of them not full
constexpr int kNumDocuments = kNumTrainingDocuments + kNumValidationDocuments;
constexpr int64_t kSequenceLength = 16;

// What share of a document's tokens, at its end, carries loss: a text, an answer to a prompt, or nothing.
double LearntShare(int document) {
  if (document % 7 == 6) return 0;
  return document % 3 == 0 ? 1.0 : 0.15;
}

std::vector<std::string> KeysOf(const Composition& composition, const std::vector<std::string>& more) {
  std::vector<std::string> keys = composition.ModelKeys();
  for (const std::string& key : composition.LayoutKeys()) keys.push_back(key);
  for (const std::string& key : more) keys.push_back(key);
  return keys;
}

}  // namespace

UnevenRun::UnevenRun() {
  WriteCorpus();
  WriteConfig();
}

void UnevenRun::WriteCorpus() const {
  const Rng rng(5, StreamKey("uneven corpus"));
  uint64_t draw = 0;
  auto writer = TokenStoreWriter::Create(corpus(), kVocabSize);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int document = 0; document < kNumDocuments; ++document) {
    const auto length = static_cast<int64_t>(3 + rng.Below(draw++, 30));
    const auto first_learnt = static_cast<int64_t>((1 - LearntShare(document)) * static_cast<double>(length));
    std::vector<int32_t> tokens = {static_cast<int32_t>(rng.Below(draw++, kVocabSize))};
    std::vector<uint8_t> mask = {0};
    for (int64_t i = 1; i < length; ++i) {
      // Mostly a small cycle that follows from the token before, now and then a jump anywhere.
      const bool jumps = rng.Below(draw++, 8) == 0;
      tokens.push_back(jumps ? static_cast<int32_t>(rng.Below(draw++, kVocabSize)) : (tokens.back() * 3 + 1) % 13);
      mask.push_back(i >= first_learnt ? 1 : 0);
    }
    ASSERT_TRUE((*writer)->Add(tokens, mask).ok());
  }
  std::vector<uint8_t> validation(kNumTrainingDocuments, 0);
  validation.resize(kNumDocuments, 1);
  const Status finished = (*writer)->Finish({.validation = std::move(validation), .sequence_length = kSequenceLength,
                                             .tokenizer_json = "{}", .tokenizer_config_json = "", .provenance_json = "{}"});
  ASSERT_TRUE(finished.ok()) << finished;
}

void UnevenRun::WriteConfig() const {
  std::ofstream(Path("run.yaml")) << "output: " << Path("run") << "\nsteps: " << kSteps << "\nmodel:\n  vocab_size: " << kVocabSize << R"(
  hidden_size: 28
  intermediate_size: 44
  num_hidden_layers: 5
  num_attention_heads: 8
  num_key_value_heads: 4
  head_dim: 6
  max_position_embeddings: 32
  initializer_range: 0.1)"
                                  << "\ndata:\n  path: " << corpus() << "\n  sequence_length: " << kSequenceLength
                                  << "\nscheduler:\n  type: cosine\n  params: {warmup_steps: 4, min_lr: 0.001, total_num_steps: "
                                  << kSteps << "}" << R"(
seed: 3
device: cpu
threads: 1
train_batch_size: 24
gradient_clipping: 0.5
optimizer:
  type: AdamW
  params: {lr: 0.004, betas: [0.9, 0.95], weight_decay: 0.1}
logging: {every: 1000}
verify_parallel: never
eval: {every: )" << kStepsAnEvaluation << "}\n";
}

RunConfig UnevenRun::ConfigOf(const Composition& composition, const std::vector<std::string>& more) const {
  RunConfig config;
  std::vector<std::string> keys = KeysOf(composition, more);
  const StatusOr<ConfigReport> report =
      ReadRunConfig({.path = Path("run.yaml"), .overrides = std::move(keys)}, composition.mesh.size(), config);
  EXPECT_TRUE(report.ok()) << report.status();
  return config;
}

std::string UnevenRun::ArgumentsOf(const Composition& composition, const std::vector<std::string>& more) const {
  std::string arguments = "train " + Path("run.yaml");
  for (const std::string& key : KeysOf(composition, more)) arguments += " --set '" + key + "'";
  return arguments;
}

}  // namespace weft
