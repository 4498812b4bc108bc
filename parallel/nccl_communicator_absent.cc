// Stands in for parallel/nccl_communicator.cc in a build without NCCL.
#include "parallel/nccl_communicator.h"

namespace weft {

bool NcclIsBuiltIn() { return false; }

StatusOr<std::unique_ptr<Communicator>> MakeNcclCommunicator(Communicator&, Device, const NcclOptions&) {
  return UserError("this weft was built without NCCL, which several CUDA ranks need; install it and build again");
}

}  // namespace weft
