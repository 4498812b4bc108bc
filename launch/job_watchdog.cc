// What happens to the process when its watchdog barks (see job_watchdog.h).
#include "launch/job_watchdog.h"

#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <utility>

#include "core/check.h"
#include "core/failure_handler.h"
#include "core/file.h"
#include "core/log.h"

namespace weft {
namespace {

void TellStall(const std::string& folder, const Stall& stall) {
  constexpr unsigned kWriteS = 10;
  LogError("the job stands still: ", stall.sentence);
  if (::access(folder.c_str(), F_OK) != 0) return;  // the run has not begun to write
  ::alarm(kWriteS);  // whatever hangs may be this file system: SIGALRM ends the process then
  const Status written =
      WriteFileAtomically(StrCat(folder, "/stall.txt"), StrCat(stall.sentence, "\n\n", stall.ranks));
  if (!written.ok()) LogWarning(written.message());
  ::alarm(0);
}

// An exception that nobody catches, such as std::bad_alloc, ends the process like a failed check.
[[noreturn]] void FailOnException() {
  std::string what = "unknown";
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  WEFT_CHECK(false) << "an exception that nobody catches: " << what;
  std::abort();
}

}  // namespace

StatusOr<std::unique_ptr<JobWatchdog>> JobWatchdog::Start(const RunConfig& config, Communicator& world,
                                                          RankRecord& record) {
  if (config.watchdog.timeout == 0.0) return nullptr;
  WEFT_ASSIGN_OR_RETURN(
      std::unique_ptr<Watchdog> watchdog,
      Watchdog::Start(world, record, {.timeout_s = config.watchdog.timeout.value_or(0)},
                      {.tell = [folder = config.output](const Stall& stall) { TellStall(folder, stall); },
                       .end = [] { ::_exit(kExitStalled); }}));
  return std::unique_ptr<JobWatchdog>(new JobWatchdog(std::move(watchdog)));
}

JobWatchdog::JobWatchdog(std::unique_ptr<Watchdog> watchdog) : watchdog_(std::move(watchdog)) {
  SetFailureHandler([dog = watchdog_.get()] { dog->ReportFailure(); });
  std::set_terminate(FailOnException);
}

JobWatchdog::~JobWatchdog() { SetFailureHandler({}); }

}  // namespace weft
