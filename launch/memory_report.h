// What `weft inspect params CONFIG --memory` prints: what each rank of a job allocates for parameters, gradients and the
// optimizer, and where.
#pragma once

#include <string>

#include "core/status.h"
#include "model/config.h"
#include "trainer/run_config.h"

namespace weft {

// `config` is resolved for `num_ranks`. Errors name what cannot be cut.
StatusOr<std::string> MemoryReport(const RunConfig& config, const ModelConfig& model, int num_ranks);

}  // namespace weft
