// Simulation: plays the plans of all pipeline ranks against each other, without a model. It proves that they run to the
// end, and says how long each rank waits.
//
// Order is judged strictly: no rank goes past a transfer before its peer stands at the other end of it, as with blocking
// sends, so what runs here runs with any transport. Time is judged as on a device with streams: transfers and collectives
// take none; compute waits for its input, and transfers wait for their data and for the transfers before them.
#pragma once

#include <string>
#include <vector>

#include "parallel/stage_layout.h"

namespace weft {

// Time of one group and micro-batch. The embedding, which copies rows, takes none.
struct GroupCosts {
  double forward = 1;  // of a block, as are the next two
  double backward_input = 1;
  double backward_weight = 1;
  double head = 0;     // the head's backward: in training it computes the loss there, too, and nothing in its forward
};

struct Span {
  double start = 0;
  double end = 0;
};

struct Simulation {
  struct Waiting {
    int rank = 0;
    Action action;
  };
  std::vector<std::vector<Span>> spans;  // by rank and place in its plan
  double makespan = 0;
  std::vector<double> busy;              // compute time, by rank
  // Empty when all plans came to their end. Else the ranks that did not, and the actions that cannot happen: a transfer
  // whose other end is never reached, or compute whose input is not there.
  std::vector<Waiting> deadlock;

  double BubbleShare() const;  // of all ranks' time until the last one is done, the share in which they wait
  std::string DeadlockText() const;  // "rank 0 waits at A2.0>1, rank 1 waits at D3.0>0"
};

Simulation Simulate(const std::vector<Plan>& plans, const StageLayout& layout, const GroupCosts& costs);

}  // namespace weft
