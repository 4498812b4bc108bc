// The folder that a run writes into (key `output`).
#pragma once

#include <string>

#include "core/status.h"

namespace weft {

// Refuses a folder whose files a run would replace though no run of weft's has written them: a configuration of the user's own
// that happens to be called config.yaml may be the only copy. What is absent, empty, or a run's already may hold one, and so
// may a folder with other things in it, such as the data, or a `checkpoints` that is a link to a larger disk. Writes nothing.
Status CheckMayHoldRun(const std::string& folder);

}  // namespace weft
