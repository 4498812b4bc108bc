// `weft inspect`: looks at configurations, models, checkpoints and data without running anything.
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "checkpoint/checkpoint.h"
#include "core/config_writer.h"
#include "data/inspect.h"
#include "launch/memory_report.h"
#include "launch/report.h"
#include "launch/schedule_report.h"
#include "launch/verbs.h"
#include "model/params.h"
#include "trainer/model_setup.h"
#include "trainer/run_config.h"

namespace weft {
namespace {

// How stdout shows a drawing. NO_COLOR (no-color.org) is honoured.
DrawingStyle StyleOfStdout() {
  if (::isatty(STDOUT_FILENO) != 1) return {};
  winsize size = {};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  const char* no_color = std::getenv("NO_COLOR");
  return {.width = known ? size.ws_col : DrawingStyle{}.width, .color = no_color == nullptr || *no_color == '\0'};
}

// Reads a run as `ranks` ranks would; 0 stands for the fewest, pp * tp.
StatusOr<int64_t> ReadForRanks(const ConfigSources& sources, int64_t ranks, RunConfig& config) {
  if (ranks == 0) {
    RunConfig given;
    WEFT_RETURN_IF_ERROR(ReadConfig(sources, given).status());
    const auto within = [](int64_t n) { return std::clamp<int64_t>(n, 1, 1 << 15); };  // what is beyond is refused below
    ranks = within(given.parallel.pp) * within(given.parallel.tp);
  }
  WEFT_ASSIGN_OR_RETURN(const ConfigReport report, ReadRunConfig(sources, ranks, config));
  for (const std::string& notice : report.notices) LogInfo(notice);
  return ranks;
}

Status InspectConfig(const ConfigSources& sources, int64_t ranks) {
  RunConfig config;
  WEFT_RETURN_IF_ERROR(ReadForRanks(sources, ranks, config).status());
  std::fputs(WriteConfig(config).c_str(), stdout);
  return absl::OkStatus();
}

struct ScheduleArguments {
  ConfigSources sources;
  int64_t ranks = 0;  // 0: pp * tp
  int width = 0;      // 0: the terminal's
  bool actions = false;
};

Status InspectSchedule(const ScheduleArguments& arguments) {
  RunConfig config;
  WEFT_ASSIGN_OR_RETURN(const int64_t ranks, ReadForRanks(arguments.sources, arguments.ranks, config));
  WEFT_ASSIGN_OR_RETURN(const ModelConfig model, ReadModel(config));
  ScheduleReportOptions options = {.drawing = StyleOfStdout(), .actions = arguments.actions};
  if (arguments.width > 0) options.drawing.width = arguments.width;
  WEFT_ASSIGN_OR_RETURN(const std::string text, ScheduleReport(config, model, static_cast<int>(ranks), options));
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

struct ParamsArguments {
  ConfigSources sources;  // of a run; or a model's folder or config.json as the path alone
  int64_t ranks = 0;      // 0: pp * tp
  bool memory = false;
};

// One line a parameter, then the total.
void ListParams(const ModelConfig& config) {
  const DecoderParams params = MakeDecoderParams(config);
  for (const ParamSpec& spec : params.specs) {
    absl::PrintF("%-28s %-18s %12d  %s\n", spec.name, spec.shape.ToString(), spec.shape.num_elements(),
                 spec.foreign.front().name);
  }
  absl::PrintF("%d parameters\n", NumParameters(config));
}

Status InspectParams(const ParamsArguments& arguments) {
  const std::string& path = arguments.sources.path;
  if (IsModel(path)) {
    if (arguments.memory || arguments.ranks > 0 || !arguments.sources.overrides.empty() || !arguments.sources.deepspeed_path.empty()) {
      return UserError(path, " is a model; --memory and its options need the configuration of a run, with model.path: ", path);
    }
    WEFT_ASSIGN_OR_RETURN(const ModelConfig model, ReadModelConfig(path));
    ListParams(model);
    return absl::OkStatus();
  }
  RunConfig config;
  WEFT_ASSIGN_OR_RETURN(const int64_t ranks, ReadForRanks(arguments.sources, arguments.ranks, config));
  WEFT_ASSIGN_OR_RETURN(const ModelConfig model, ReadModel(config));
  if (arguments.memory) {
    WEFT_ASSIGN_OR_RETURN(const std::string text, MemoryReport(config, model, static_cast<int>(ranks)));
    std::fputs(text.c_str(), stdout);
  } else {
    ListParams(model);
  }
  return absl::OkStatus();
}

// What a checkpoint or a run's newest one holds: a line each for what it is of, then its tensors.
Status InspectCheckpoint(const std::string& path, bool verify) {
  WEFT_ASSIGN_OR_RETURN(const std::string checkpoint, FindCheckpoint(path));
  if (verify) WEFT_RETURN_IF_ERROR(VerifyCheckpoint(checkpoint));
  WEFT_ASSIGN_OR_RETURN(const CheckpointInfo info, ReadCheckpointInfo(checkpoint));
  WEFT_ASSIGN_OR_RETURN(const std::vector<CheckpointTensor> tensors, ListCheckpointTensors(checkpoint));
  absl::PrintF("%s: step %d, %d sequences seen, written by mesh %s\n", checkpoint, info.step, info.samples, info.mesh);
  if (!info.verified.empty()) absl::PrintF("verified: %s\n", info.verified);
  for (const CheckpointTensor& tensor : tensors) absl::PrintF("%-64s %s\n", tensor.name, tensor.shape.ToString());
  if (verify) absl::PrintF("whole: every byte is as it was written\n");
  return absl::OkStatus();
}

Status InspectStore(const std::string& path, int64_t num_samples) {
  const InspectOptions options = {.num_samples = num_samples, .color = StyleOfStdout().color};
  WEFT_ASSIGN_OR_RETURN(const std::string text, InspectData(path, options));
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

Status PrintReference() {
  std::fputs(WriteConfigReference<RunConfig>().c_str(), stdout);
  return absl::OkStatus();
}

void AddConfigSources(CLI::App& verb, ConfigSources& sources, const char* argument = "CONFIG", const char* help = "YAML or JSON") {
  verb.add_option(argument, sources.path, help)->required();
  verb.add_option("--set", sources.overrides, "Override a key (repeatable)")->expected(1)->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->type_name("KEY=VALUE");
  verb.add_option("--deepspeed", sources.deepspeed_path, "A DeepSpeed JSON file to merge in")->type_name("FILE");
}

void AddScheduleVerb(CLI::App& inspect, const ChooseVerb& choose) {
  CLI::App* verb = inspect.add_subcommand("schedule", "Draw what each pipeline rank does in a step, with what it waits and holds");
  auto arguments = std::make_shared<ScheduleArguments>();
  AddConfigSources(*verb, arguments->sources);
  verb->add_option("--ranks", arguments->ranks, "Ranks of the job; left out, parallel.pp * parallel.tp")
      ->check(CLI::Range(1, 1 << 30));
  verb->add_option("--width", arguments->width, "Columns of the drawing; left out, the terminal's, or 120")
      ->check(CLI::Range(40, 100000));
  verb->add_flag("--actions", arguments->actions, "List every rank's actions, too, as they are executed");
  verb->footer(
      "Nothing runs: the plans of all ranks are played against each other with the cost of each part estimated from the\n"
      "model's shape; communication takes no time. A cell is a micro-batch's forward (F) or backward (B) on a rank's blocks;\n"
      "zero_bubble splits B into I, which the rank before waits for, and W, which fills gaps. Dots are the bubble: more\n"
      "micro-batches (gradient_accumulation_steps) make it smaller, as do interleaved and zero_bubble; where one rank is always\n"
      "busy, parallel.blocks_per_stage balances.\n\n"
      "The table counts what a rank holds at most at once: stashes (activations kept for the backward) of blocks and heads, a\n"
      "block and micro-batch each; gradients between blocks; blocks whose weight gradients are put off; and parameter groups\n"
      "gathered whole (ZeRO 1 and up).\n\n"
      "--actions lists, with GROUP.MICRO_BATCH (group 0 is the embedding, 1 block 0, ..., the last one the head):\n"
      "  F B I W        forward, backward, gradients of inputs, of weights\n"
      "  A2.0>1 A3.0<0  an activation sent to pp rank 1, received from rank 0\n"
      "  D3.0>0 D2.0<1  a gradient, the other way\n"
      "  G2 X2 R2       group 2's weights gathered, let go; its gradients summed over data-parallel ranks\n"
      "  T V            a tied table's gradients summed over first and last rank; those of norms and biases\n\n"
      "Examples:\n"
      "  weft inspect schedule run.yaml --set parallel.pp=4 --set gradient_accumulation_steps=8\n"
      "  weft inspect schedule run.yaml --ranks 16 --set parallel.schedule=zero_bubble --actions");
  verb->callback([=] { choose([=] { return Report(InspectSchedule(*arguments)); }); });
}

void AddParamsVerb(CLI::App& inspect, const ChooseVerb& choose) {
  CLI::App* verb = inspect.add_subcommand("params", "List a model's parameters, or say what they take of each rank's memory");
  auto arguments = std::make_shared<ParamsArguments>();
  AddConfigSources(*verb, arguments->sources, "MODEL_OR_CONFIG,--config",
                   "A Hugging Face folder or its config.json, which is all that is read; or a run's YAML or JSON");
  verb->add_flag("--memory", arguments->memory, "Of a run: bytes a rank, where they are, before anything is allocated");
  verb->add_option("--ranks", arguments->ranks, "Of a run: ranks of the job; left out, parallel.pp * parallel.tp")
      ->check(CLI::Range(1, 1 << 30));
  verb->footer(
      "--memory reads the tables that a run allocates from, so its figures are exact:\n"
      "  weights            what the model computes with, in the compute dtype\n"
      "  gradients          f32\n"
      "  masters, moments   f32: the optimizer's; in f32 the weights are the masters. With\n"
      "                     zero_optimization.offload_optimizer.device=cpu in host memory (marked *)\n"
      "  gathered weights   ZeRO 3: room for the blocks that are whole at once (zero_optimization.reshard, prefetch)\n"
      "  whole gradients    ZeRO 2 and 3: room for gradients until they are shared out\n"
      "  offload ring       page-locked buffers between the GPU and the host\n"
      "  save's copy        f32, in host memory: what an asynchronous save writes while the run goes on\n"
      "Norms and biases stay whole on every rank. To make it fit: a higher zero_optimization.stage over more ranks, then\n"
      "parallel.tp within a host, parallel.pp across hosts, and offload last.\n\n"
      "Examples:\n"
      "  weft inspect params models/llama\n"
      "  weft inspect params run.yaml --memory --ranks 8 --set zero_optimization.stage=3");
  verb->callback([=] { choose([=] { return Report(InspectParams(*arguments)); }); });
}

void AddCheckpointVerb(CLI::App& inspect, const ChooseVerb& choose) {
  CLI::App* verb = inspect.add_subcommand("checkpoint", "Say what a checkpoint holds, and with --verify whether it is whole");
  auto path = std::make_shared<std::string>();
  auto verify = std::make_shared<bool>(false);
  verb->add_option("RUN", *path, "A run's folder (its newest complete checkpoint) or a checkpoint")->required();
  verb->add_flag("--verify", *verify, "Read every file whole and compare all checksums; without it the index alone is");
  verb->callback([=] { choose([=] { return Report(InspectCheckpoint(*path, *verify)); }); });
}

void AddStoreVerb(CLI::App& inspect, const ChooseVerb& choose) {
  CLI::App* data = inspect.add_subcommand("data", "Describe a token store, after verifying all of it");
  auto path = std::make_shared<std::string>();
  auto num_samples = std::make_shared<int64_t>(0);
  data->add_option("FILE", *path, "What weft data prepare wrote")->required();
  data->add_option("--samples", *num_samples, "Show so many documents, what the loss counts in green")->capture_default_str();
  data->callback([=] { choose([=] { return Report(InspectStore(*path, *num_samples)); }); });
}

}  // namespace

void AddInspectVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* inspect = app.add_subcommand("inspect", "Look at a configuration, a model, a schedule, a checkpoint or data without running anything");
  inspect->require_subcommand(1);
  CLI::App* config = inspect->add_subcommand("config", "Print a run's configuration with everything resolved");
  auto sources = std::make_shared<ConfigSources>();
  auto ranks = std::make_shared<int64_t>(0);
  AddConfigSources(*config, *sources);
  config->add_option("--ranks", *ranks, "Resolve batch sizes for this many ranks; left out, parallel.pp * parallel.tp")
      ->check(CLI::Range(1, 1 << 30));
  config->callback([=] { choose([=] { return Report(InspectConfig(*sources, *ranks)); }); });

  AddScheduleVerb(*inspect, choose);
  inspect->add_subcommand("reference", "Print every key of a configuration with its default and meaning, as Markdown")
      ->callback([=] { choose([] { return Report(PrintReference()); }); });
  AddParamsVerb(*inspect, choose);
  AddCheckpointVerb(*inspect, choose);
  AddStoreVerb(*inspect, choose);
}

}  // namespace weft
