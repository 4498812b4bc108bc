// The loss curve of a run as a picture that any browser shows.
#pragma once

#include <string>
#include <vector>

#include "trainer/metrics.h"

namespace weft {

// A self-contained SVG: training loss by step (raw, and smoothed where there are many steps) and validation loss as
// points, with axes in round numbers. Steps without a finite loss are gaps.
std::string LossPlotSvg(const std::vector<StepMetrics>& steps, const std::string& title);

}  // namespace weft
