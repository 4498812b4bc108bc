// What `weft inspect schedule` prints: which rank computes what, a step over time, how long ranks wait, and how much they
// hold at once.
#pragma once

#include <string>

#include "core/status.h"
#include "model/config.h"
#include "parallel/plan_drawing.h"
#include "trainer/run_config.h"

namespace weft {

struct ScheduleReportOptions {
  DrawingStyle drawing;
  bool actions = false;  // list every rank's plan, too
};

// `config` is resolved for `num_ranks`. Errors name what cannot be cut into stages.
StatusOr<std::string> ScheduleReport(const RunConfig& config, const ModelConfig& model, int num_ranks,
                                     const ScheduleReportOptions& options);

}  // namespace weft
