// Executes a plan: drives a stage's groups through forward and backward and issues the communication between them.
#pragma once

#include "parallel/communicator.h"
#include "parallel/param_store.h"
#include "parallel/schedule.h"

namespace weft {

// The layers of one pipeline stage, as a schedule sees them. Implemented by model/.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void Forward(int group, int micro_batch) = 0;
  virtual void BackwardInput(int group, int micro_batch) = 0;
  virtual void BackwardWeight(int group, int micro_batch) = 0;
};

struct PipelineStreams {
  Stream& compute;
  Stream& reduce;  // gradient reductions, under the backward pass; may be the compute stream itself
};

// Returns when all is issued; work queued on `compute` afterwards sees reduced gradients.
void RunPlan(const Plan& plan, Stage& stage, ParamStore& params, Communicator& data_parallel,
             const PipelineStreams& streams);

}  // namespace weft
