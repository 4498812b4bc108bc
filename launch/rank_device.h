// Which device each rank of a job computes on.
#pragma once

#include <string>
#include <vector>

#include "core/device.h"
#include "core/status.h"
#include "parallel/mpi_communicator.h"
#include "trainer/run_config.h"

namespace weft {

// What the devices of all ranks are judged by.
struct RankDevice {
  int host = 0;        // equal on one host
  std::string bus_id;  // of its GPU; empty on the CPU
};

// By rank: all on the CPU, or each on a GPU of its own (what NCCL asks for).
Status CheckDevices(const std::vector<RankDevice>& by_rank);

// This rank's device: on CUDA number rank_on_host of those it sees, counted around (a launcher may show each rank only its
// own). Collective; every rank returns a device, or the same error. The calling thread is bound to it.
StatusOr<Device> ChooseDevice(DeviceChoice choice, const MpiSession& mpi, Communicator& world);

}  // namespace weft
