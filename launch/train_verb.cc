// `weft train CONFIG`: starts this rank, binds it to a device, and trains.
#include <CLI/CLI.hpp>

#include "core/config_writer.h"
#include "core/cuda_device.h"
#include "launch/report.h"
#include "launch/verbs.h"
#include "parallel/mpi_communicator.h"
#include "trainer/trainer.h"

namespace weft {
namespace {

// The device of this rank. Several CUDA ranks need a communicator between GPUs, which is not built yet.
StatusOr<Device> ChooseDevice(DeviceChoice choice, int num_ranks) {
  if (choice == DeviceChoice::kCpu) return Device::Cpu();
  if (choice == DeviceChoice::kAuto && cuda::DeviceCount() == 0) return Device::Cpu();
  if (!cuda::IsBuiltIn()) return UserError("device: cuda was asked for, but this weft was built without CUDA; set device: cpu");
  if (cuda::DeviceCount() == 0) return UserError("device: cuda was asked for, but no CUDA device is present; set device: cpu");
  if (num_ranks > 1) {
    return UserError("device: this host has CUDA, which ", choice == DeviceChoice::kAuto ? "auto takes" : "was asked for",
                     ", but ", num_ranks, " CUDA ranks are not supported yet; set device: cpu, or start one rank");
  }
  return Device::Cuda(0);
}

// Each rank reads the files of its own host: ranks that trained on different settings would wait for each other forever.
Status CheckSameEverywhere(Communicator& world, const RunConfig& config) {
  const std::vector<std::string> all = world.AllGatherBytes(WriteConfig(config));
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] != all[0]) return UserError("rank ", rank, " has read other settings than rank 0; give every rank the same");
  }
  return absl::OkStatus();
}

Status Train(const ConfigSources& sources, const MpiSession& mpi, Communicator& world) {
  RunConfig config;
  StatusOr<ConfigReport> report = ReadRunConfig(sources, world.size(), config);
  Status status = AgreeOnStatus(world, report.status());
  if (!status.ok()) return status;
  WEFT_RETURN_IF_ERROR(CheckSameEverywhere(world, config));
  for (const std::string& notice : report->notices) LogInfo(notice);
  WEFT_RETURN_IF_ERROR(RefuseUnbuilt(config, *report));
  const StatusOr<Device> device = ChooseDevice(config.device, world.size());
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(world, device.status()));
  const int threads = config.threads > 0 ? static_cast<int>(config.threads) : DefaultNumThreads(mpi.ranks_on_host());
  StatusOr<std::unique_ptr<Trainer>> trainer =
      Trainer::Create(config, {.world = world, .device = *device, .num_threads = threads});
  WEFT_RETURN_IF_ERROR(trainer.status());
  return (*trainer)->Run();
}

int RunTrain(const ConfigSources& sources) {
  MpiSession mpi;
  const std::unique_ptr<Communicator> world = mpi.World();
  SetCurrentRank({world->rank(), StrCat("rank ", world->rank())});
  return Report(Train(sources, mpi, *world));
}

}  // namespace

void AddTrainVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* verb = app.add_subcommand("train", "Train, or go on with, the run that a configuration describes");
  auto sources = std::make_shared<ConfigSources>();
  verb->add_option("CONFIG", sources->path, "YAML or JSON; configs/ has examples")->required();
  verb->add_option("--set", sources->overrides, "Override a key: --set optimizer.params.lr=1e-4 (repeatable)")->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->type_name("KEY=VALUE");
  verb->add_option("--deepspeed", sources->deepspeed_path, "A DeepSpeed JSON file to merge in")->type_name("FILE");
  verb->footer(
      "Examples:\n"
      "  weft train configs/tiny.yaml\n"
      "  mpirun -n 2 --bind-to none weft train configs/quickstart.yaml --set steps=50\n"
      "The run's folder (key `output`) gets metrics.jsonl, config.yaml, checkpoints/ and loss.svg. Starting the same\n"
      "command again goes on from the newest checkpoint.");
  verb->callback([=] { choose([=] { return RunTrain(*sources); }); });
}

}  // namespace weft
