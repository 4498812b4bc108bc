// Signal handlers of a training run (see stop_signals.h).
#include "launch/stop_signals.h"

#include <csignal>

namespace weft {
namespace {

std::atomic<bool> stop_signalled{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch nothing else");

void OnStopSignal(int signal) {
  stop_signalled.store(true);
  if (signal != SIGUSR1) std::signal(signal, SIG_DFL);
}

}  // namespace

void CatchStopSignals() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;  // started by nohup, to outlive its terminal
    struct sigaction action = {};
    action.sa_handler = OnStopSignal;
    action.sa_flags = SA_RESTART;  // reads and writes under way go on
    sigaction(signal, &action, nullptr);
  }
}

const std::atomic<bool>& StopSignalled() { return stop_signalled; }

}  // namespace weft
