// Executes a plan: drives a stage's groups through forward and backward, and issues the communication between them.
#pragma once

#include "parallel/param_sync.h"
#include "parallel/process_mesh.h"
#include "parallel/schedule.h"

namespace weft {

// The groups that one pipeline rank computes, as a schedule sees them. Implemented by model/.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void Forward(int group, int micro_batch) = 0;
  virtual void BackwardInput(int group, int micro_batch) = 0;
  virtual void BackwardWeight(int group, int micro_batch) = 0;  // after BackwardInput of the same

  // A buffer at the border of a virtual stage; a transfer may touch `data` after `ready` (it has been written, or nothing
  // reads it any more).
  struct Border {
    TensorView data;
    Event ready;
  };
  virtual Border ActivationToSend(int group, int micro_batch) = 0;     // group: the last of its virtual stage
  virtual Border ActivationToReceive(int group, int micro_batch) = 0;  // group: the first
  virtual Border GradientToSend(int group, int micro_batch) = 0;       // group: the first
  virtual Border GradientToReceive(int group, int micro_batch) = 0;    // group: the last
  // The buffer may be used again after `done`.
  virtual void ActivationSent(int group, int micro_batch, const Event& done) = 0;
  virtual void GradientSent(int group, int micro_batch, const Event& done) = 0;
};

// Streams of one rank; on the CPU, or where nothing should overlap, they may be one and the same.
struct PlanStreams {
  Stream& compute;
  Stream& transfer;  // between pipeline ranks
};

// Issues all of `plan`. Work queued on `compute` afterwards sees all gradients reduced; `sync`'s own stream is its comm.
void RunPlan(const Plan& plan, const StageLayout& stages, Stage& stage, ParamSync& sync, const ProcessMesh& mesh,
             const PlanStreams& streams);

}  // namespace weft
