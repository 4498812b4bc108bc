// The folders of checkpoints: their names, what marks one complete, and how one takes its place.
#pragma once

#include <string>
#include <vector>

#include "core/status.h"

namespace weft {

std::string IndexPath(const std::string& checkpoint);
std::string StepFolder(const std::string& run_folder, int64_t step);     // RUN/checkpoints/step-N
std::string PartialFolder(const std::string& run_folder, int64_t step);  // where it is written: step-N.partial

// The file `complete` says that the checkpoint is, and what its index must be: size and SHA-256 of index.h5, so that a
// damaged index is refused before libhdf5 sees it.
Status WriteMarker(const std::string& checkpoint);
Status CheckMarker(const std::string& checkpoint);

// Removes what an unfinished save or removal has left, if anything; an error where other things lie there.
Status RemoveUnfinished(const std::string& folder);

// Puts the finished partial folder into its place and marks it complete. A checkpoint that stands there moves aside
// (step-N.replaced), where FindCheckpoint still sees it, until the new one is complete; on an error it comes back.
// That it cannot be removed then is a warning.
Status PublishCheckpoint(const std::string& run_folder, int64_t step);

}  // namespace weft
