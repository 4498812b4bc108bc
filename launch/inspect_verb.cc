// `weft inspect`: looks at configurations and models without running them.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "core/config_writer.h"
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

}  // namespace

void AddInspectVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* inspect = app.add_subcommand("inspect", "Look at a configuration or a model without running it");
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

  CLI::App* params = inspect->add_subcommand("params", "List a model's parameters");
  auto folder = std::make_shared<std::string>();
  params->add_option("DIR", *folder, "A Hugging Face folder; only its config.json is read")->required();
  params->callback([=] { choose([=] { return Report(InspectParams(*folder)); }); });
}

}  // namespace weft
