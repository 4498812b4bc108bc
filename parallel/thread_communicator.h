// Thread ranks: a whole job in one process, for tests, gtest and TSan, and for checking a layout without mpirun.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "parallel/communicator.h"

namespace weft {

// One communicator for each of `size` ranks; each is used by one rank's threads.
std::vector<std::unique_ptr<Communicator>> MakeThreadCommunicators(int size);

// Runs body(communicator) on `size` threads, each labelled with its rank, and waits for all.
void RunThreadRanks(int size, const std::function<void(Communicator&)>& body);

}  // namespace weft
