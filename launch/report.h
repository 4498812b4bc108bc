// How a verb ends: one message for the user, one exit code, the same on every rank.
#pragma once

#include "core/log.h"
#include "core/status.h"

namespace weft {

// Prints an error once (rank 0 speaks for a job whose ranks agreed) and returns the exit code: 0 done, 2 the user's
// mistake, 1 anything else.
inline int Report(const Status& status) {
  if (!status.ok() && CurrentRank().rank == 0) LogError(status.message());
  return ExitCode(status);
}

}  // namespace weft
