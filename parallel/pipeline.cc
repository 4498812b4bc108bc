// The executor of plans (see pipeline.h).
#include "parallel/pipeline.h"

#include "core/check.h"

namespace weft {

void RunPlan(const Plan& plan, Stage& stage, ParamStore& params, Communicator& data_parallel,
             const PipelineStreams& streams) {
  for (const Action& action : plan) {
    const auto& [kind, group, micro_batch, peer] = action;
    switch (kind) {
      case ActionKind::kForward:
        stage.Forward(group, micro_batch);
        break;
      case ActionKind::kBackward:
        stage.BackwardInput(group, micro_batch);
        stage.BackwardWeight(group, micro_batch);
        break;
      case ActionKind::kBackwardInput:
        stage.BackwardInput(group, micro_batch);
        break;
      case ActionKind::kBackwardWeight:
        stage.BackwardWeight(group, micro_batch);
        break;
      case ActionKind::kReduceVectors:  // every group at once: matrices and vectors lie in the same buffers
        streams.reduce.Wait(streams.compute.Record());
        for (int g = 0; g < params.num_groups(); ++g) data_parallel.AllReduce(streams.reduce, params.GroupGrads(g));
        break;
      case ActionKind::kReduce:
        break;  // by kReduceVectors
      default:
        WEFT_CHECK(false) << "the executor cannot run " << ToString(action) << " yet";
    }
  }
  streams.compute.Wait(streams.reduce.Record());
}

}  // namespace weft
