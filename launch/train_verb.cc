// `weft train CONFIG`: starts this rank, binds it to a device, and trains.
#include <CLI/CLI.hpp>
#include <csignal>

#include "core/config_writer.h"
#include "launch/job_watchdog.h"
#include "launch/rank_device.h"
#include "launch/report.h"
#include "launch/stop_signals.h"
#include "launch/verbs.h"
#include "parallel/mpi_communicator.h"
#include "parallel/nccl_communicator.h"
#include "parallel/watched_communicator.h"
#include "trainer/trainer.h"

namespace weft {
namespace {

// Each rank reads the files of its own host: ranks that trained on different settings would wait for each other forever.
Status CheckSameEverywhere(Communicator& world, const RunConfig& config) {
  const std::vector<std::string> all = world.AllGatherBytes(WriteConfig(config));
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] != all[0]) return UserError("rank ", rank, " has read other settings than rank 0; give every rank the same");
  }
  return absl::OkStatus();
}

// The communicator between the ranks' GPUs; nullptr where `world` itself carries tensors, or there is nobody to reach.
StatusOr<std::unique_ptr<Communicator>> ConnectDevices(Device device, Communicator& world) {
  if (!device.is_cuda() || world.size() == 1) return nullptr;
  StatusOr<std::unique_ptr<Communicator>> tensors = MakeNcclCommunicator(world, device);
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(world, tensors.status()));
  return WatchCommunicator(*std::move(tensors), CurrentRecord());
}

Status Train(const ConfigSources& sources, MpiSession& mpi, Communicator& world) {
  RunConfig config;
  StatusOr<ConfigReport> report = ReadRunConfig(sources, world.size(), config);
  Status status = AgreeOnStatus(world, report.status());
  if (!status.ok()) return status;
  WEFT_RETURN_IF_ERROR(CheckSameEverywhere(world, config));
  for (const std::string& notice : report->notices) LogInfo(notice);
  WEFT_RETURN_IF_ERROR(RefuseUnbuilt(config, *report));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<JobWatchdog> watchdog, JobWatchdog::Start(config, world, CurrentRecord()));
  mpi.HasStarted();
  WEFT_ASSIGN_OR_RETURN(const Device device, ChooseDevice(config.device, mpi, world));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Communicator> tensors, ConnectDevices(device, world));
  const int threads = config.threads > 0 ? static_cast<int>(config.threads) : DefaultNumThreads(mpi.ranks_on_host());
  StatusOr<std::unique_ptr<Trainer>> trainer =
      Trainer::Create(config, {.world = world, .tensors = tensors.get(), .device = device, .num_threads = threads,
                               .ranks_on_host = mpi.ranks_on_host(),
                               .stop_signalled = &StopSignalled()});
  WEFT_RETURN_IF_ERROR(trainer.status());
  return (*trainer)->Run();
}

int RunTrain(const ConfigSources& sources) {
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files fails a save, not the process
  std::signal(SIGPIPE, SIG_IGN);  // nor does a reader of its lines that is gone (Ctrl-C of `weft train ... | tee log`)
  CatchStopSignals();  // before anything else: a request during the start ends the run after its first step
  MpiSession mpi;
  RankRecord record;
  SetCurrentRecord(&record);
  const std::unique_ptr<Communicator> world = WatchCommunicator(mpi.World(), record);
  SetCurrentRank({world->rank(), StrCat("rank ", world->rank())});
  return Report(Train(sources, mpi, *world));
}

}  // namespace

void AddTrainVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* verb = app.add_subcommand("train", "Train, or go on with, the run that a configuration describes");
  auto sources = std::make_shared<ConfigSources>();
  verb->add_option("CONFIG", sources->path, "YAML or JSON; configs/ has examples")->required();
  verb->add_option("--set", sources->overrides, "Override a key: --set optimizer.params.lr=1e-4 (repeatable)")->expected(1)->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->type_name("KEY=VALUE");
  verb->add_option("--deepspeed", sources->deepspeed_path, "A DeepSpeed JSON file to merge in")->type_name("FILE");
  auto verify = std::make_shared<bool>(false);
  verb->add_flag("--verify-parallel", *verify,
                 "Compare a tiny model under this layout with one rank first, even where the run's folder has seen it agree (verify_parallel: always)");
  verb->footer(
      "Examples:\n"
      "  weft data prepare docs --to runs/tiny-data/tokens.h5     (what configs/tiny.yaml trains on)\n"
      "  weft train configs/tiny.yaml\n"
      "  mpirun -n 2 --bind-to none weft train configs/quickstart.yaml --set steps=50\n"
      "The run's folder (key `output`) gets metrics.jsonl, config.yaml, checkpoints/ and loss.svg. Starting the same\n"
      "command again goes on from the newest checkpoint.");
  verb->callback([=] {
    if (*verify) sources->overrides.push_back("verify_parallel=always");
    choose([=] { return RunTrain(*sources); });
  });
}

}  // namespace weft
