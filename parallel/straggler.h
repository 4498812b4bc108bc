// Stragglers: ranks whose own work in a step takes clearly longer than that of ranks with the same work, so that all
// wait for them. A slow host, a throttled device, a neighbour on the machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "parallel/rank_record.h"

namespace weft {

struct Straggler {
  int rank;
  double busy_s;    // median of a step without waiting
  double others_s;  // the median rank of the same pipeline stage
};

// snapshots: by rank; those that are not known are left out. Ranks are compared within their pipeline stage, where
// all have the same work. Named is the slowest whose median is at least a fifth above the stage's and whose faster
// quarter of steps is above the slower quarter of the typical rank: chance spreads wider than that only rarely.
// nullopt: none, or fewer than 20 steps seen.
std::optional<Straggler> FindStraggler(const std::vector<std::optional<RankSnapshot>>& snapshots);

}  // namespace weft
