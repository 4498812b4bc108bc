// The lock of a run's folder (see run_lock.h).
#include "trainer/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/file.h"
#include "core/log.h"
#include "parallel/datagram_socket.h"

namespace weft {

namespace {

// "process 4711 on host n3 since 2026-11-30 16:22:38 UTC"; no two starts are alike.
std::string Holder() {
  char since[32];
  const std::time_t now = std::time(nullptr);
  struct tm utc = {};
  std::strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &utc));
  return StrCat("process ", getpid(), " on host ", HostName(), " since ", since, "\n");
}

}  // namespace

StatusOr<RunLock> RunLock::Take(const std::string& run_folder) {
  const std::string path = run_folder + "/lock";
  RunLock lock;
  lock.descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock.descriptor_ < 0) return UserError("cannot open ", path, ": ", std::strerror(errno));
  const int failure = flock(lock.descriptor_, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  if (failure == EWOULDBLOCK) {
    const StatusOr<std::string> holder = ReadFile(path);
    return UserError(run_folder, " is being written by another run", holder.ok() ? " (" + holder->substr(0, holder->find('\n')) + ")" : "",
                     "; wait for it, stop it (weft stop ", run_folder, "), or choose another output");
  }
  if (failure != 0) {
    LogWarning("cannot lock ", path, " (", std::strerror(failure), "): see to it that no other run writes to ", run_folder);
  }
  lock.holder_ = Holder();
  const auto size = static_cast<ssize_t>(lock.holder_.size());
  const bool written = ftruncate(lock.descriptor_, 0) == 0 && pwrite(lock.descriptor_, lock.holder_.data(), lock.holder_.size(), 0) == size &&
                       fsync(lock.descriptor_) == 0;
  if (!written) return absl::UnavailableError(StrCat("cannot write ", path, ": ", std::strerror(errno)));
  return lock;
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace weft
