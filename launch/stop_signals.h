// Signals that ask a training run to end in order: SIGINT and SIGTERM (a person, srun, Slurm), SIGHUP (a connection that
// drops, unless nohup has the run outlive it) and SIGUSR1 (which mpirun passes on to its ranks; it kills them two seconds after
// a SIGINT or SIGTERM of its own).
#pragma once

#include <atomic>

namespace weft {

// From now on the first of these signals sets the flag, and a second SIGINT, SIGTERM or SIGHUP ends the process as it would have
// without this.
void CatchStopSignals();
const std::atomic<bool>& StopSignalled();

}  // namespace weft
