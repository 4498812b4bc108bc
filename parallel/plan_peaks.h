// Peaks: how much working memory a plan needs at most at once, counted by walking it. The model allocates by these numbers
// and takes and returns memory by the same rules, so a plan that fits here fits there.
#pragma once

#include "parallel/stage_layout.h"

namespace weft {

struct Peaks {
  // Of blocks, one for each (block, micro-batch) in flight. Taken at A<(g) or, where nothing is received, at F(g); the
  // embedding's F takes the one of the block above, where its output goes (it also does where that block is on another
  // rank: then until A>). Returned at the end of B or W; in evaluation at the end of the F of the next group, or, for the
  // last group of a virtual stage, of its own.
  int block_stashes = 0;
  int head_stashes = 0;  // the same rule
  // What a block's backward keeps for its weight gradients: taken at I or B, returned at the end of W or B.
  int pending_weights = 0;
  int pending_weights_at_forward = 0;  // of those, held while a block's F runs
  // Gradients [T/tp, D] of what a group put out or took in. Taken at D<(g), and at B or I (g) for its dx, by blocks and the
  // head. The one that flows into g is returned at the end of B or W (g); the one that flows out of a virtual stage at D>.
  int residual_grads = 0;
  int gathered_groups = 0;  // parameter groups whose matrices are whole between G and X, or the end of the plan
  bool operator==(const Peaks&) const = default;
};

// Of both plans together: memory that serves one after the other.
Peaks Max(const Peaks& a, const Peaks& b);

// Peaks of one rank's plan; without backward actions it is an evaluation.
Peaks MeasurePeaks(const Plan& plan, const StageLayout& layout);

}  // namespace weft
