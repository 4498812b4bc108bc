// The folder that a run writes into (key `output`): whose it is, whether all hosts share it, and the courses that the run has
// left: its checkpoints of before it began again, or went on from an earlier one.
#pragma once

#include <string>
#include <vector>

#include "core/status.h"

namespace weft {

// Refuses a folder whose files a run would replace though no run of weft's has written them: a configuration of the user's own
// that happens to be called config.yaml may be the only copy. What is absent, empty, or a run's already may hold one, and so
// may a folder with other things in it, such as the data, or a `checkpoints` that is a link to a larger disk. Writes nothing.
Status CheckMayHoldRun(const std::string& folder);

// Moves the run's checkpoints out of the way, to RUN/checkpoints.old-N, with a copy of its metrics; returns that folder.
StatusOr<std::string> LeaveCourse(const std::string& run_folder);

// The folders that LeaveCourse has made, the newest first.
std::vector<std::string> LeftCourses(const std::string& run_folder);

// Waits until RUN/lock reads `holder`, as the writing rank has left it; an error after `patience_s`. File systems between hosts
// take a while (a minute, for NFS) to show what is new.
Status AwaitLock(const std::string& run_folder, const std::string& holder, double patience_s);

}  // namespace weft
