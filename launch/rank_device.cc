// Chooses this rank's device, and makes sure that all ranks' choices fit together (see rank_device.h).
#include "launch/rank_device.h"

#include <map>

#include "core/cuda_device.h"
#include "parallel/nccl_communicator.h"

namespace weft {
namespace {

StatusOr<Device> ChooseAlone(DeviceChoice choice, int rank_on_host) {
  if (choice == DeviceChoice::kCpu) return Device::Cpu();
  if (choice == DeviceChoice::kAuto && cuda::DeviceCount() == 0) return Device::Cpu();
  if (!cuda::IsBuiltIn()) return UserError("device: cuda was asked for, but this weft was built without CUDA; set device: cpu");
  if (cuda::DeviceCount() == 0) return UserError("device: cuda was asked for, but no CUDA device is present; set device: cpu");
  return Device::Cuda(rank_on_host % cuda::DeviceCount());
}

// The devices of all ranks.
std::vector<RankDevice> GatherDevices(Device mine, int host, Communicator& world) {
  const std::vector<std::string> hosts = world.AllGatherBytes(StrCat(host));
  const std::vector<std::string> bus_ids = world.AllGatherBytes(mine.is_cuda() ? cuda::BusId(mine.index) : "");
  std::vector<RankDevice> by_rank;
  for (size_t rank = 0; rank < hosts.size(); ++rank) by_rank.push_back({std::stoi(hosts[rank]), bus_ids[rank]});
  return by_rank;
}

}  // namespace

Status CheckDevices(const std::vector<RankDevice>& by_rank) {
  std::map<std::pair<int, std::string>, size_t> owners;
  for (size_t rank = 0; rank < by_rank.size(); ++rank) {
    const RankDevice& device = by_rank[rank];
    if (device.bus_id.empty() != by_rank[0].bus_id.empty()) {
      return UserError("device: rank 0 computes on ", by_rank[0].bus_id.empty() ? "the CPU" : "a GPU", " and rank ", rank, " on ",
                       device.bus_id.empty() ? "the CPU" : "a GPU", "; set device: cpu, or start ranks only where GPUs are");
    }
    if (device.bus_id.empty()) continue;
    const auto [owner, is_first] = owners.insert({{device.host, device.bus_id}, rank});
    if (!is_first) {
      return UserError("device: ranks ", owner->second, " and ", rank, " are on one GPU (", device.bus_id, " of their host), and each ",
                       "needs its own; start no more ranks on a host than it has GPUs, or set device: cpu");
    }
  }
  if (by_rank.size() > 1 && !by_rank[0].bus_id.empty() && !NcclIsBuiltIn()) {
    return UserError("device: ", by_rank.size(), " ranks on CUDA need NCCL, and this weft was built without it; install NCCL and ",
                     "build again, start one rank, or set device: cpu");
  }
  return absl::OkStatus();
}

StatusOr<Device> ChooseDevice(DeviceChoice choice, const MpiSession& mpi, Communicator& world) {
  const StatusOr<Device> device = ChooseAlone(choice, mpi.rank_on_host());
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(world, device.status()));
  WEFT_RETURN_IF_ERROR(CheckDevices(GatherDevices(*device, mpi.host(), world)));
  if (device->is_cuda()) cuda::BindThread(device->index);
  return *device;
}

}  // namespace weft
