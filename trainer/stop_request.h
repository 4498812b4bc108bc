// StopRequest: somebody wants the run to end after the step it is in: by a signal to any rank, or by `weft stop RUN`,
// which leaves a file in the run's folder. The trainer asks once a step and tells all ranks in the reduction that they make
// anyway, so they all end after the same step.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "core/status.h"

namespace weft {

class StopRequest {
 public:
  // `signalled` may be null; else it outlives this. Only the rank that `watches_folder` looks for the file.
  StopRequest(std::string run_folder, const std::atomic<bool>* signalled, bool watches_folder);

  // Whether this rank has been asked. The folder is looked at once a second.
  bool Asked();
  // Removes the file, because it has been obeyed.
  void Clear();
  // Removes one that was there before this object: it was meant for an earlier start. One that has come since is for this one.
  void ClearOld();

  // What `weft stop RUN` does. An error when the folder is not that of a run.
  static Status Ask(const std::string& run_folder);

 private:
  const std::string file_;
  const std::atomic<bool>* const signalled_;
  const bool watches_folder_;
  const std::optional<std::filesystem::file_time_type> old_;  // when the file that was there at first was written
  std::chrono::steady_clock::time_point next_look_;
  bool asked_ = false;
};

}  // namespace weft
