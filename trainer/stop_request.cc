// Stop requests by signal and by file (see stop_request.h).
#include "trainer/stop_request.h"

#include "core/file.h"

namespace weft {
namespace {

std::optional<std::filesystem::file_time_type> TimeOf(const std::string& file) {
  std::error_code error;
  const std::filesystem::file_time_type time = std::filesystem::last_write_time(file, error);
  return error ? std::nullopt : std::optional(time);
}

}  // namespace

StopRequest::StopRequest(std::string run_folder, const std::atomic<bool>* signalled, bool watches_folder)
    : file_(run_folder + "/stop"), signalled_(signalled), watches_folder_(watches_folder), old_(TimeOf(file_)) {}

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

void StopRequest::ClearOld() {
  if (old_.has_value() && TimeOf(file_) == old_) Clear();
}

Status StopRequest::Ask(const std::string& run_folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(run_folder + "/config.yaml", ignored)) {
    return UserError(run_folder, " is not the folder of a run (it has no config.yaml); give the `output` of its configuration");
  }
  return WriteFileAtomically(run_folder + "/stop", "weft stop\n");
}

}  // namespace weft
