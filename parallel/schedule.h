// Schedules as data: what one rank does in a step, in order, as a list of actions that can be printed, simulated and
// executed. Gradient accumulation is the one-stage schedule, so there is one training path.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class ActionKind : uint8_t {
  kForward,         // a group's forward for a micro-batch
  kBackwardInput,   // gradient of the group's input (for the head: the loss, too)
  kBackwardWeight,  // gradients of the group's weights, accumulated
  kReduce,          // sum the group's gradients over the data-parallel ranks; once, after its last kBackwardWeight
};

// Groups of a stage are numbered as in the ParamSpec table: embedding, blocks, head.
struct Action {
  ActionKind kind;
  int group = 0;
  int micro_batch = 0;
  bool operator==(const Action&) const = default;
};

using Plan = std::vector<Action>;

// "F2.0": forward of group 2, micro-batch 0. B backward-input, W backward-weight, R reduce (no micro-batch).
std::string ToString(const Action& action);
std::string ToString(const Plan& plan);

// All groups on one rank: each micro-batch forward and backward in turn; a group is reduced as soon as its last
// gradient is complete, so that the reduction runs under the backward pass of the groups below.
Plan OneStagePlan(int num_groups, int num_micro_batches);
// The forward half alone, for evaluation.
Plan ForwardPlan(int num_groups, int num_micro_batches);

}  // namespace weft
