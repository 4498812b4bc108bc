// Drawing: plans over time, one row a pipeline rank, for a terminal.
#pragma once

#include <string>
#include <vector>

#include "parallel/plan_simulation.h"

namespace weft {

struct DrawingStyle {
  int width = 120;     // columns; what does not fit is cut off, and a line says so
  bool color = false;  // ANSI colours
};

// `simulation` is of `plans`. A cell is what a rank does for one micro-batch in one virtual stage: a letter (F, B, I, W as
// in action.h), the micro-batch's number and, where a rank has several virtual stages, a, b, ... for which of them. Dots
// are waiting.
std::string Draw(const std::vector<Plan>& plans, const StageLayout& layout, const Simulation& simulation,
                 const DrawingStyle& style);

}  // namespace weft
