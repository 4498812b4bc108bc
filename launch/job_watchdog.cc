// What happens to the process when its watchdog barks (see job_watchdog.h).
#include "launch/job_watchdog.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "core/check.h"
#include "core/failure_handler.h"
#include "core/file.h"
#include "core/log.h"

namespace weft {
namespace {

void WriteStall(const std::string& folder, const Stall& stall) {
  if (::access(folder.c_str(), F_OK) != 0) return;  // the run has not begun to write
  const Status written = WriteFileAtomically(folder + "/stall.txt", StrCat(stall.sentence, "\n\n", stall.ranks));
  if (!written.ok()) LogWarning(written.message());
}

// What hangs may be this very file system. So a thread writes, and is waited for only so long: the others must be told to end.
void TellStall(const std::string& folder, const Stall& stall) {
  constexpr std::chrono::seconds kPatience{2};
  LogError("the job stands still: ", stall.sentence);
  try {
    auto written = std::make_shared<std::promise<void>>();
    std::future<void> is_written = written->get_future();
    std::thread([folder, stall, written] {
      WriteStall(folder, stall);
      written->set_value();
    }).detach();
    if (is_written.wait_for(kPatience) != std::future_status::ready) LogWarning(folder, "/stall.txt takes too long to write");
  } catch (const std::exception& error) {  // too little memory for a thread
    LogWarning(folder, "/stall.txt is not written: ", error.what());
  }
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
