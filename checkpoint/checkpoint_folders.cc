// Renames, markers and the search for checkpoints (see checkpoint_folders.h and checkpoint.h).
#include "checkpoint/checkpoint_folders.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "core/sha256.h"
#include "core/file.h"
#include "core/log.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kPartial = ".partial";
constexpr std::string_view kReplaced = ".replaced";

std::string CheckpointsFolder(const std::string& run_folder) { return StrCat(run_folder, "/checkpoints"); }
std::string MarkerPath(const std::string& checkpoint) { return StrCat(checkpoint, "/complete"); }

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}
bool IsComplete(const std::string& checkpoint) { return Exists(MarkerPath(checkpoint)); }

// Whether all that the folder holds is a checkpoint's, as a save or a removal that was cut short leaves it. What else lies
// there somebody has put there, perhaps another program whose checkpoints have such names, too.
bool IsOurs(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool is_shard = name.starts_with("rank-") && (name.ends_with(".h5") || name.ends_with(".h5.tmp"));
    const bool is_other = name == "index.h5" || name == "index.h5.tmp" || name == "complete" || name == "complete.tmp";
    if (!is_shard && !is_other && !name.starts_with(".nfs")) return false;  // .nfs*: removed, and still open
  }
  return !error;
}

// The marker first, so that a removal that is cut short leaves no checkpoint with parts missing.
Status RemoveFolder(const std::string& folder) {
  std::error_code error;
  fs::remove(MarkerPath(folder), error);
  if (!error) fs::remove_all(folder, error);
  if (error) return absl::UnavailableError(StrCat("cannot remove ", folder, ": ", error.message()));
  return absl::OkStatus();
}

// "step-12.partial": 12 and ".partial".
struct FolderName {
  int64_t step;
  std::string suffix;
};
std::optional<FolderName> ParseFolderName(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (error != std::errc() || step < 0) return std::nullopt;
  const std::string suffix(rest, end);
  if (!suffix.empty() && suffix != kPartial && suffix != kReplaced) return std::nullopt;
  return FolderName{step, suffix};
}

struct Folders {
  std::map<int64_t, std::string> complete;  // by step
  std::vector<std::string> rest;            // what unfinished or replaced saves left
};
StatusOr<Folders> ListFolders(const std::string& run_folder) {
  Folders folders;
  std::error_code error;
  std::map<int64_t, std::string> replaced;
  for (fs::directory_iterator entry(CheckpointsFolder(run_folder), error), end; !error && entry != end; entry.increment(error)) {
    const std::optional<FolderName> name = ParseFolderName(entry->path().filename().string());
    if (!name) continue;
    const std::string path = entry->path().string();
    if (name->suffix == kPartial || !IsComplete(path)) {
      if (IsOurs(path)) folders.rest.push_back(path);
    } else {
      (name->suffix.empty() ? folders.complete : replaced)[name->step] = path;
    }
  }
  if (error == std::errc::not_a_directory) {
    return UserError(run_folder, " is no folder of a run: ", CheckpointsFolder(run_folder), " cannot be a folder there");
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::UnavailableError(StrCat("cannot list ", CheckpointsFolder(run_folder), ": ", error.message()));
  }
  for (const auto& [step, path] : replaced) {
    if (!folders.complete.emplace(step, path).second) folders.rest.push_back(path);
  }
  return folders;
}

// The steps of the rule.best checkpoints of least loss; of equal ones the earlier.
std::set<int64_t> BestSteps(const std::map<int64_t, std::string>& complete, const KeepRule& rule) {
  std::set<std::pair<double, int64_t>> ranking;
  for (const auto& [step, loss] : rule.losses) {
    if (complete.contains(step)) ranking.insert({loss, step});
  }
  std::set<int64_t> best;
  for (const auto& [loss, step] : ranking) {
    if (static_cast<int64_t>(best.size()) < rule.best) best.insert(step);
  }
  return best;
}

Status NoCheckpointIn(const std::string& path) {
  if (Exists(CheckpointsFolder(path))) {
    return absl::NotFoundError(StrCat("the run ", path, " has no complete checkpoint yet (in ", CheckpointsFolder(path), ")"));
  }
  if (!Exists(path)) return absl::NotFoundError(StrCat(path, " does not exist"));
  return absl::NotFoundError(StrCat(path, " is neither a run's folder nor a checkpoint: it has no ", CheckpointsFolder(path),
                                    Exists(StrCat(path, "/config.json")) ? " (it looks like a model's folder)" : ""));
}

StatusOr<std::string> MarkerText(const std::string& checkpoint) {
  WEFT_ASSIGN_OR_RETURN(const std::string index, ReadFile(IndexPath(checkpoint)));
  return StrCat("weft checkpoint\nindex.h5 ", index.size(), " ", Sha256::Of(index), "\n");
}

}  // namespace

std::string IndexPath(const std::string& checkpoint) { return StrCat(checkpoint, "/index.h5"); }
std::string StepFolder(const std::string& run_folder, int64_t step) {
  return StrCat(CheckpointsFolder(run_folder), "/", kStepPrefix, step);
}
std::string PartialFolder(const std::string& run_folder, int64_t step) {
  return StrCat(StepFolder(run_folder, step), kPartial);
}

Status WriteMarker(const std::string& checkpoint) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, MarkerText(checkpoint));
  return WriteFileAtomically(MarkerPath(checkpoint), text);
}

Status CheckMarker(const std::string& checkpoint) {
  StatusOr<std::string> marker = ReadFile(MarkerPath(checkpoint));
  if (absl::IsNotFound(marker.status())) {
    return absl::NotFoundError(StrCat(checkpoint, " is not a complete checkpoint: it lacks the file 'complete'"));
  }
  if (!marker.ok()) return marker.status();
  WEFT_ASSIGN_OR_RETURN(const std::string expected, MarkerText(checkpoint));
  if (*marker == expected) return absl::OkStatus();
  return DataError(IndexPath(checkpoint), ": not what the file 'complete' beside it describes; one of the two was ",
                   "truncated or altered");
}

Status RemoveUnfinished(const std::string& folder) {
  if (!Exists(folder)) return absl::OkStatus();
  if (!IsOurs(folder)) return UserError(folder, " holds other things than a checkpoint of weft; move it away");
  return RemoveFolder(folder);
}

bool HasUnfinished(const std::string& run_folder) {
  const StatusOr<Folders> folders = ListFolders(run_folder);
  std::error_code ignored;
  return folders.ok() && std::any_of(folders->rest.begin(), folders->rest.end(), [&](const std::string& folder) {
    return !folder.ends_with(kPartial) && !fs::is_empty(folder, ignored);
  });
}

Status PublishCheckpoint(const std::string& run_folder, int64_t step) {
  const std::string partial = PartialFolder(run_folder, step), place = StepFolder(run_folder, step);
  const std::string replaced = StrCat(place, kReplaced);
  if (IsComplete(place)) {
    WEFT_RETURN_IF_ERROR(RemoveFolder(replaced));
    WEFT_RETURN_IF_ERROR(RenameDurably(place, replaced));
  } else {
    WEFT_RETURN_IF_ERROR(RemoveUnfinished(place));
  }
  Status status = RenameDurably(partial, place);
  if (status.ok()) status = WriteMarker(place);
  if (status.ok()) {
    const Status removed = RemoveFolder(replaced);
    if (!removed.ok()) LogWarning(removed.message(), "; the next save tries again");
    return status;
  }
  RemoveFolder(place).IgnoreError();  // the first error says more
  if (Exists(replaced)) RenameDurably(replaced, place).IgnoreError();
  return status;
}

StatusOr<std::string> FindCheckpoint(const std::string& path) {
  if (IsComplete(path)) return path;
  if (Exists(IndexPath(path))) {
    return absl::NotFoundError(StrCat(path, " is not a complete checkpoint: it lacks the file 'complete'"));
  }
  WEFT_ASSIGN_OR_RETURN(const std::vector<std::string> checkpoints, ListCheckpoints(path));
  if (checkpoints.empty()) return NoCheckpointIn(path);
  return checkpoints.front();
}

StatusOr<std::vector<std::string>> ListCheckpoints(const std::string& run_folder) {
  WEFT_ASSIGN_OR_RETURN(const Folders folders, ListFolders(run_folder));
  std::vector<std::string> newest_first;
  for (auto each = folders.complete.rbegin(); each != folders.complete.rend(); ++each) newest_first.push_back(each->second);
  return newest_first;
}

Status PruneCheckpoints(const std::string& run_folder, const KeepRule& rule) {
  WEFT_ASSIGN_OR_RETURN(Folders folders, ListFolders(run_folder));
  const std::set<int64_t> best = BestSteps(folders.complete, rule);
  int64_t newer = 0;
  for (auto checkpoint = folders.complete.rbegin(); rule.newest > 0 && checkpoint != folders.complete.rend(); ++checkpoint) {
    if (++newer > rule.newest && !best.contains(checkpoint->first)) folders.rest.push_back(checkpoint->second);
  }
  for (const std::string& folder : folders.rest) WEFT_RETURN_IF_ERROR(RemoveFolder(folder));
  return absl::OkStatus();
}

}  // namespace weft
