// The check of a layout before a run trusts it: a tiny model of the run's family is trained for two steps by the run's own
// ranks, over its own communicators, under its own plans, and by each rank alone; both must compute the same.
//
// In f32 whatever the run's precision: the roundings of bf16 would hide faults that are smaller than they.
#pragma once

#include <string>

#include "core/status.h"
#include "model/config.h"
#include "parallel/process_mesh.h"
#include "trainer/run_config.h"
#include "trainer/tiny_training.h"

namespace weft {

// The largest relative differences from one rank.
struct LayoutAgreement {
  double loss = 0;      // of a step's loss
  double gradient = 0;  // L2 of a parameter's gradient, or the global norm's, in any step
  double weight = 0;    // L2 of a parameter after the last step, relative to the distance that it moved
};

// Micro-batches of a replica's step that the check runs: the run's, but no more than fill its pipeline twice.
int CheckedMicroBatches(const RunConfig& config);

// Collective over mesh.world. Every rank returns the same: an error (exit code 1) names the first tensor that differs, by
// how much, and the ranks on which it does.
StatusOr<LayoutAgreement> CheckLayout(const RunConfig& config, const ModelConfig& model, const ProcessMesh& mesh,
                                      const TrainingStreams& streams);

}  // namespace weft
