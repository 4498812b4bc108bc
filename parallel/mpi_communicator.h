// MPI: the start of a job of several processes, and its communicator for CPU tensors.
#pragma once

#include <cstdint>
#include <memory>

#include "parallel/communicator.h"

namespace weft {

// Initialises MPI when the process was started by a launcher (mpirun, srun), and finalises it at the end of its life.
// Without a launcher there is one rank and MPI is not touched, so a plain start is quick.
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  // An alarm that ends a process whose start hangs (after 300 s) has been on since the session began: turns it off, because
  // something else watches from here on.
  void HasStarted();

  // All ranks of the job, called "world"; the self communicator when there is no launcher. MPI counts in ints, so longer
  // messages go in pieces of `max_message_bytes` (a multiple of 8; tests give a small one).
  std::unique_ptr<Communicator> World(int64_t max_message_bytes = int64_t{1} << 30);
  int ranks_on_host() const { return ranks_on_host_; }
  int rank_on_host() const { return rank_on_host_; }
  int host() const { return host_; }  // the lowest rank on this rank's host stands for it

 private:
  bool under_launcher_ = false;
  int ranks_on_host_ = 1;
  int rank_on_host_ = 0;
  int host_ = 0;
};

}  // namespace weft
