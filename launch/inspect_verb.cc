// `weft inspect`: looks at configurations, models, checkpoints and data without running anything.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "checkpoint/checkpoint.h"
#include "core/config_writer.h"
#include "data/inspect.h"
#include "launch/report.h"
#include "launch/verbs.h"
#include "model/params.h"
#include "trainer/run_config.h"

namespace weft {
namespace {

Status InspectConfig(const ConfigSources& sources, int64_t ranks) {
  RunConfig config;
  WEFT_ASSIGN_OR_RETURN(const ConfigReport report, ReadRunConfig(sources, ranks, config));
  for (const std::string& notice : report.notices) LogInfo(notice);
  std::fputs(WriteConfig(config).c_str(), stdout);
  return absl::OkStatus();
}

// One line a parameter, then the total.
Status InspectParams(const std::string& folder) {
  WEFT_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(folder));
  const DecoderParams params = MakeDecoderParams(config);
  for (const ParamSpec& spec : params.specs) {
    absl::PrintF("%-28s %-18s %12d  %s\n", spec.name, spec.shape.ToString(), spec.shape.num_elements(),
                 spec.foreign.front().name);
  }
  absl::PrintF("%d parameters\n", NumParameters(config));
  return absl::OkStatus();
}

// What a checkpoint or a run's newest one holds: a line each for what it is of, then its tensors.
Status InspectCheckpoint(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string checkpoint, FindCheckpoint(path));
  WEFT_ASSIGN_OR_RETURN(const CheckpointInfo info, ReadCheckpointInfo(checkpoint));
  WEFT_ASSIGN_OR_RETURN(const std::vector<CheckpointTensor> tensors, ListCheckpointTensors(checkpoint));
  absl::PrintF("%s: step %d, %d sequences seen, written by mesh %s\n", checkpoint, info.step, info.samples, info.mesh);
  for (const CheckpointTensor& tensor : tensors) absl::PrintF("%-64s %s\n", tensor.name, tensor.shape.ToString());
  return absl::OkStatus();
}

Status InspectStore(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, InspectData(path));
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

Status PrintReference() {
  std::fputs(WriteConfigReference<RunConfig>().c_str(), stdout);
  return absl::OkStatus();
}

// A verb below `inspect` that looks at one path.
void AddPathVerb(CLI::App& inspect, const ChooseVerb& choose, const char* name, const char* what, const char* argument,
                 const char* help, Status (*look)(const std::string&)) {
  CLI::App* verb = inspect.add_subcommand(name, what);
  auto path = std::make_shared<std::string>();
  verb->add_option(argument, *path, help)->required();
  verb->callback([=] { choose([=] { return Report(look(*path)); }); });
}

}  // namespace

void AddInspectVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* inspect = app.add_subcommand("inspect", "Look at a configuration, a model, a checkpoint or data without running anything");
  inspect->require_subcommand(1);
  CLI::App* config = inspect->add_subcommand("config", "Print a run's configuration with everything resolved");
  auto sources = std::make_shared<ConfigSources>();
  auto ranks = std::make_shared<int64_t>(1);
  config->add_option("CONFIG", sources->path, "YAML or JSON")->required();
  config->add_option("--set", sources->overrides, "Override a key (repeatable)")->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->type_name("KEY=VALUE");
  config->add_option("--deepspeed", sources->deepspeed_path, "A DeepSpeed JSON file to merge in")->type_name("FILE");
  config->add_option("--ranks", *ranks, "Resolve batch sizes for this many ranks")->capture_default_str();
  config->callback([=] { choose([=] { return Report(InspectConfig(*sources, *ranks)); }); });

  inspect->add_subcommand("reference", "Print every key of a configuration with its default and meaning, as Markdown")
      ->callback([=] { choose([] { return Report(PrintReference()); }); });
  AddPathVerb(*inspect, choose, "params", "List a model's parameters", "DIR",
              "A Hugging Face folder; only its config.json is read", InspectParams);
  AddPathVerb(*inspect, choose, "checkpoint", "Say what a checkpoint holds", "RUN",
              "A run's folder (its newest complete checkpoint) or a checkpoint", InspectCheckpoint);
  AddPathVerb(*inspect, choose, "data", "Describe a token store, after verifying all of it", "FILE",
              "What weft data prepare wrote", InspectStore);
}

}  // namespace weft
