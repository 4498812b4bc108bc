// NCCL: the communicator for tensors in the memory of CUDA devices, one device a rank.
//
// nccl_communicator_absent.cc stands in for a build without NCCL, where NcclIsBuiltIn() is false.
#pragma once

#include <chrono>
#include <memory>

#include "core/device.h"
#include "core/status.h"
#include "parallel/communicator.h"

namespace weft {

bool NcclIsBuiltIn();

struct NcclOptions {
  // A call that has been the oldest unfinished one of its communicator for so long is stuck: a peer is gone, or calls
  // something else. Longer than any rank ever stays away from the others (a checkpoint to a slow disk).
  std::chrono::seconds patience{1800};
};

// A communicator called "all" over the ranks of `host`, in their order; collective. `device` is this rank's, CUDA, and no
// other rank's. AllGatherBytes goes over a communicator split from `host`, and Split splits both.
//
// While calls run on the device, a thread asks NCCL for errors. An error (a peer's process or network is gone) or a stuck
// call aborts this process with the call, the communicator, the ranks and NCCL's own words; so does a call NCCL refuses.
// What fails here, at the start, is a Status; it may differ between ranks.
StatusOr<std::unique_ptr<Communicator>> MakeNcclCommunicator(Communicator& host, Device device, const NcclOptions& options = {});

}  // namespace weft
