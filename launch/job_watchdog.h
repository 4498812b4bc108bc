// The watchdog of a training job: how its verdict reaches people, and how the processes end.
#pragma once

#include <memory>

#include "parallel/watchdog.h"
#include "trainer/run_config.h"

namespace weft {

// The exit code of a job that the watchdog ended: EX_TEMPFAIL of sysexits.h, "try again", as which schedulers can
// take it.
inline constexpr int kExitStalled = 75;

// On a stall one rank prints one sentence and writes it, with a line for each rank, to stall.txt in the run's folder;
// then every process exits with kExitStalled, without a word to MPI, whose launcher ends what is left. A failed check
// (core/check.h), or an exception that nobody catches, has the job looked at in the same way before the process
// aborts.
class JobWatchdog {
 public:
  // Collective. nullptr where the configuration wants none.
  static StatusOr<std::unique_ptr<JobWatchdog>> Start(const RunConfig& config, Communicator& world,
                                                      RankRecord& record);
  ~JobWatchdog();

 private:
  explicit JobWatchdog(std::unique_ptr<Watchdog> watchdog);
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace weft
