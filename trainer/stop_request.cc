// Stop requests by signal and by file (see stop_request.h).
#include "trainer/stop_request.h"

#include <filesystem>

#include "core/file.h"

namespace weft {

StopRequest::StopRequest(std::string run_folder, const std::atomic<bool>* signalled, bool watches_folder)
    : file_(run_folder + "/stop"), signalled_(signalled), watches_folder_(watches_folder) {}

bool StopRequest::Asked() {
  if (signalled_ != nullptr && signalled_->load()) asked_ = true;
  const auto now = std::chrono::steady_clock::now();
  if (asked_ || !watches_folder_ || now < next_look_) return asked_;
  next_look_ = now + std::chrono::seconds(1);
  std::error_code ignored;  // a folder that cannot be looked at holds no request that we know of
  return asked_ = std::filesystem::exists(file_, ignored);
}

void StopRequest::Clear() {
  std::error_code ignored;
  if (watches_folder_) std::filesystem::remove(file_, ignored);
}

Status StopRequest::Ask(const std::string& run_folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(run_folder + "/config.yaml", ignored)) {
    return UserError(run_folder, " is not the folder of a run (it has no config.yaml); give the `output` of its configuration");
  }
  return WriteFileAtomically(run_folder + "/stop", "weft stop\n");
}

}  // namespace weft
