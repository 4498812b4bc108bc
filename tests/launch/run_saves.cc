// Looks at folders of checkpoints (see run_saves.h).
#include "tests/launch/run_saves.h"

#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"

namespace weft {

int64_t NewestStep(const std::string& run) {
  const StatusOr<std::string> checkpoint = FindCheckpoint(run);
  if (!checkpoint.ok()) return 0;
  const StatusOr<CheckpointInfo> info = ReadCheckpointInfo(*checkpoint);
  EXPECT_TRUE(info.ok()) << info.status();
  return info.ok() ? info->step : 0;
}

bool HasUnfinishedSave(const std::string& run, std::filesystem::file_time_type since) {
  std::error_code ignored;  // a job may make and remove folders meanwhile
  for (std::filesystem::directory_iterator entry(run + "/checkpoints", ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const bool is_complete = std::filesystem::exists(entry->path() / "complete", ignored);
    if (!is_complete && std::filesystem::last_write_time(entry->path(), ignored) > since) return true;
  }
  return false;
}

}  // namespace weft
