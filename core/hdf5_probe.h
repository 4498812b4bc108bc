// A look at an HDF5 file by a process that may die of it. libhdf5 crashes on some hostile files (its CVEs are mostly such),
// and no check short of a second implementation finds them all; so a child opens the file first.
//
// The child is this program again, started by posix_spawn with an environment variable that ends it before main():
// nothing of MPI, CUDA or this process's threads and locks is in it. (A plain fork of a process with threads may call
// nothing but async-signal-safe functions.) It may take bounded memory and time, and touches what weft's readers do:
// every group and dataset but virtual ones, texts whole, of lists the two ends.
#pragma once

#include <string>

#include "core/status.h"

namespace weft::hdf5 {

// OK when a child has walked the file without dying. Whether it holds what it should is the reader's question.
Status Probe(const std::string& path);

}  // namespace weft::hdf5
