// RunLock: one process at a time writes into a run's folder. Two would take each other's checkpoints apart (a job that was
// requeued while the old one lingers).
#pragma once

#include <string>
#include <utility>

#include "core/status.h"

namespace weft {

class RunLock {
 public:
  // Locks RUN/lock, which the kernel gives back when the process ends, however it ends. An error when another holds it.
  static StatusOr<RunLock> Take(const std::string& run_folder);
  RunLock() = default;
  RunLock(RunLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  RunLock& operator=(RunLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~RunLock();

 private:
  int descriptor_ = -1;
};

}  // namespace weft
