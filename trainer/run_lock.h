// RunLock: one process at a time writes into a run's folder. Two would take each other's checkpoints apart (a job that was
// requeued while the old one lingers).
#pragma once

#include <string>
#include <utility>

#include "core/status.h"

namespace weft {

class RunLock {
 public:
  // Locks RUN/lock, which the kernel gives back when the process ends, however it ends. An error when another holds it; a
  // warning where the file system has no locks.
  static StatusOr<RunLock> Take(const std::string& run_folder);
  RunLock() = default;
  RunLock(RunLock&& other) noexcept { *this = std::move(other); }
  RunLock& operator=(RunLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(holder_, other.holder_);
    return *this;
  }
  ~RunLock();

  bool is_taken() const { return descriptor_ >= 0; }
  // What RUN/lock says: which process, where, since when.
  const std::string& holder() const { return holder_; }

 private:
  int descriptor_ = -1;
  std::string holder_;
};

}  // namespace weft
