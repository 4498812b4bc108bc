// Actions: what a rank does in a step, as data. A plan is the list of one rank's actions, in order; it can be printed,
// checked, simulated (plan_simulation.h), drawn (plan_drawing.h) and executed (pipeline.h).
//
// Actions work on *groups*, numbered over the whole model: the embedding is 0, block l is 1 + l, the head is last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class ActionKind : uint8_t {
  kForward,            // F  a group's forward for a micro-batch
  kBackward,           // B  gradients of the group's input and of its weights (for the head: the loss, too)
  kBackwardInput,      // I  the former alone (zero bubble)
  kBackwardWeight,     // W  the latter alone, later
  kSendActivation,     // A> what `group`, the last of a virtual stage, put out, to pp rank `peer`
  kReceiveActivation,  // A< what `group`, the first of a virtual stage, takes in, from pp rank `peer`
  kSendGradient,       // D> gradient of what `group`, the first of a virtual stage, took in
  kReceiveGradient,    // D< gradient of what `group`, the last of a virtual stage, put out
  kGather,             // G  makes a parameter group's matrices whole (ZeRO 1 and up)
  kRelease,            // X  lets them go (ZeRO 3)
  kReduce,             // R  sums the gradients of a parameter group's matrices over the data-parallel ranks
  kReduceTied,         // T  adds the tied table's gradients of the first and the last pp rank
  kReduceVectors,      // V  sums the gradients of all norms and biases of this rank; the end of a training plan
};

struct Action {
  ActionKind kind;
  int group = 0;        // all but T and V
  int micro_batch = 0;  // compute and transfers
  int peer = -1;        // transfers: the pp rank at the other end
  bool operator==(const Action&) const = default;
};

using Plan = std::vector<Action>;

bool IsCompute(ActionKind kind);   // F, B, I, W
bool IsTransfer(ActionKind kind);  // between pp ranks

// "F2.0": forward of group 2, micro-batch 0. "A2.0>1": its output goes to pp rank 1; "D3.0<1": a gradient comes from there.
// "G2", "X2", "R2"; "T", "V".
std::string ToString(const Action& action);
std::string ToString(const Plan& plan);

}  // namespace weft
