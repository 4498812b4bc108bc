// The lock of a run's folder (see run_lock.h).
#include "trainer/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/file.h"

namespace weft {

StatusOr<RunLock> RunLock::Take(const std::string& run_folder) {
  const std::string path = run_folder + "/lock";
  RunLock lock;
  lock.descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock.descriptor_ < 0) return UserError("cannot open ", path, ": ", std::strerror(errno));
  if (flock(lock.descriptor_, LOCK_EX | LOCK_NB) == 0) {
    const std::string holder = StrCat("process ", getpid(), "\n");
    const bool written = ftruncate(lock.descriptor_, 0) == 0 && write(lock.descriptor_, holder.data(), holder.size()) > 0;
    (void)written;  // it only tells people who holds the lock
    return lock;
  }
  if (errno != EWOULDBLOCK) return lock;  // a file system without locks: nothing to be had
  const StatusOr<std::string> holder = ReadFile(path);
  return UserError(run_folder, " is being written by another run", holder.ok() ? " (" + holder->substr(0, holder->find('\n')) + ")" : "",
                   "; wait for it, stop it (weft stop ", run_folder, "), or choose another output");
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace weft
