// The processes that run this test binary together: one in a plain start, several under mpirun.
#pragma once

#include "parallel/communicator.h"
#include "parallel/mpi_communicator.h"

namespace weft {

const MpiSession& Job();
// All processes of the job. Messages over 4 KiB go in pieces, so that small tests cover what large tensors do.
Communicator& JobWorld();

}  // namespace weft
