// The executor of plans (see pipeline.h).
#include "parallel/pipeline.h"

namespace weft {

void RunPlan(const Plan& plan, Stage& stage, ParamStore& params, Communicator& data_parallel,
             const PipelineStreams& streams) {
  for (const Action& action : plan) {
    switch (action.kind) {
      case ActionKind::kForward:
        stage.Forward(action.group, action.micro_batch);
        break;
      case ActionKind::kBackwardInput:
        stage.BackwardInput(action.group, action.micro_batch);
        break;
      case ActionKind::kBackwardWeight:
        stage.BackwardWeight(action.group, action.micro_batch);
        break;
      case ActionKind::kReduce:
        streams.reduce.Wait(streams.compute.Record());
        data_parallel.AllReduce(streams.reduce, params.GroupGrads(action.group));
        break;
    }
  }
  streams.compute.Wait(streams.reduce.Record());
}

}  // namespace weft
