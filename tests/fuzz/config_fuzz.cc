// Fuzzes the reading of run configurations: the same text as YAML or JSON of ours, and as a DeepSpeed file beside a sound one.
#include <fstream>

#include "core/check.h"
#include "core/config_writer.h"
#include "tests/fuzz/mutate.h"
#include "trainer/run_config.h"

namespace weft {
namespace {

constexpr char kSoundConfig[] = "sound.yaml";

// What could be read can be written, and reads as the same again.
bool Reads(const ConfigSources& sources) {
  RunConfig config;
  const StatusOr<ConfigReport> report = ReadRunConfig(sources, /*world_size=*/4, config);
  if (!report.ok()) return WEFT_CHECK(!report.status().message().empty()), false;
  const std::string written = WriteConfig(config);
  constexpr char kWritten[] = "written.yaml";
  std::ofstream(kWritten) << written;
  RunConfig again;
  WEFT_CHECK_OK(ReadRunConfig({.path = kWritten}, 4, again));
  WEFT_CHECK(WriteConfig(again) == written) << written;
  return true;
}

bool FuzzOne(const std::string&) {
  const bool as_ours = Reads({.path = kLastInput});
  const bool as_deepspeed = Reads({.path = kSoundConfig, .deepspeed_path = kLastInput});
  return as_ours || as_deepspeed;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  std::ofstream(weft::kSoundConfig) << "output: run\nsteps: 10\ndata: {path: data.h5, sequence_length: 64}\n"
                                       "model: {model_type: llama, vocab_size: 272, hidden_size: 64, intermediate_size: 128, "
                                       "num_hidden_layers: 2, num_attention_heads: 4}\n";
  return weft::FuzzMain(argc, argv, weft::FuzzOne);
}
