// Looks at a run's folder, and moves within it (see run_folder.h).
#include "trainer/run_folder.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/str_cat.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLeft = "checkpoints.old-";

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Every run makes a lock first (empty where it was killed then); of a copied one it may be missing.
bool IsRun(const std::string& folder) {
  const StatusOr<std::string> lock = ReadFile(folder + "/lock");
  return (lock.ok() && (lock->empty() || lock->starts_with("process "))) || FindCheckpoint(folder).ok();
}

// N of RUN/checkpoints.old-N and the folder's path, the largest first.
std::vector<std::pair<int64_t, std::string>> NumberedCourses(const std::string& run_folder) {
  std::vector<std::pair<int64_t, std::string>> courses;
  std::error_code error;
  for (fs::directory_iterator entry(run_folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    int64_t number = 0;
    if (!name.starts_with(kLeft)) continue;
    const auto [rest, failure] = std::from_chars(name.data() + kLeft.size(), name.data() + name.size(), number);
    if (failure == std::errc() && rest == name.data() + name.size()) courses.emplace_back(number, entry->path().string());
  }
  std::sort(courses.rbegin(), courses.rend());
  return courses;
}

}  // namespace

Status CheckMayHoldRun(const std::string& folder) {
  if (IsRun(folder)) return absl::OkStatus();
  for (const char* name : {"config.yaml", "metrics.jsonl", "loss.svg", "lock"}) {
    if (!Exists(StrCat(folder, "/", name))) continue;
    return UserError("output: ", folder, " is no run's folder (it has no 'lock' of one), but holds a ", name,
                     ", which a run would replace with its own; choose another output");
  }
  return absl::OkStatus();
}

StatusOr<std::string> LeaveCourse(const std::string& run_folder) {
  const std::vector<std::pair<int64_t, std::string>> before = NumberedCourses(run_folder);
  const std::string left = StrCat(run_folder, "/", kLeft, before.empty() ? 1 : before.front().first + 1);
  WEFT_RETURN_IF_ERROR(RenameDurably(run_folder + "/checkpoints", left));
  std::error_code error;
  fs::copy_file(run_folder + "/metrics.jsonl", left + "/metrics.jsonl", error);
  if (error && error != std::errc::no_such_file_or_directory) {
    LogWarning("cannot keep the metrics of that course in ", left, ": ", error.message());
  }
  LogInfo("kept the checkpoints that were there, and their metrics, as ", left);
  return left;
}

std::vector<std::string> LeftCourses(const std::string& run_folder) {
  std::vector<std::string> folders;
  for (auto& [number, folder] : NumberedCourses(run_folder)) folders.push_back(std::move(folder));
  return folders;
}

Status AwaitLock(const std::string& run_folder, const std::string& holder, double patience_s) {
  const auto latest = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience_s);
  while (true) {
    const StatusOr<std::string> seen = ReadFile(run_folder + "/lock");
    if (seen.ok() && *seen == holder) return absl::OkStatus();
    if (std::chrono::steady_clock::now() > latest) {
      return UserError("output: ", run_folder, " here is not the folder that rank 0 writes to; all hosts must share it (a network "
                       "file system), because every rank saves its part there");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace weft
