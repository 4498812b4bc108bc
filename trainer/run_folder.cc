// Whose a folder is (see run_folder.h).
#include "trainer/run_folder.h"

#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "core/str_cat.h"

namespace weft {
namespace {

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Every run makes a lock first; of a copied one it may be missing.
bool IsRun(const std::string& folder) { return Exists(folder + "/lock") || FindCheckpoint(folder).ok(); }

}  // namespace

Status CheckMayHoldRun(const std::string& folder) {
  if (IsRun(folder)) return absl::OkStatus();
  for (const char* name : {"config.yaml", "metrics.jsonl", "loss.svg"}) {
    if (!Exists(StrCat(folder, "/", name))) continue;
    return UserError("output: ", folder, " is no run's folder (it has no file 'lock'), but holds a ", name,
                     ", which a run would replace with its own; choose another output");
  }
  return absl::OkStatus();
}

}  // namespace weft
