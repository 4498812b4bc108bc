// The executor of plans (see pipeline.h).
#include "parallel/pipeline.h"

#include <map>

#include "parallel/rank_record.h"

namespace weft {
namespace {

class PlanRunner {
 public:
  PlanRunner(const StageLayout& stages, Stage& stage, ParamSync& sync, const ProcessMesh& mesh, const PlanStreams& streams)
      : stages_(stages), stage_(stage), sync_(sync), mesh_(mesh), streams_(streams) {}

  void Run(const Action& action) {
    switch (action.kind) {
      case ActionKind::kForward:
      case ActionKind::kBackward:
      case ActionKind::kBackwardInput:
      case ActionKind::kBackwardWeight:
        return Compute(action);
      case ActionKind::kSendActivation:
      case ActionKind::kReceiveActivation:
      case ActionKind::kSendGradient:
      case ActionKind::kReceiveGradient:
        return Transfer(action);
      case ActionKind::kGather:
        return sync_.Gather(action.group);
      case ActionKind::kRelease:
        return sync_.Release(action.group);
      case ActionKind::kReduce:
        return sync_.Reduce(action.group);
      case ActionKind::kReduceTied:
        return sync_.ReduceTied();
      case ActionKind::kReduceVectors:
        return sync_.ReduceVectors();
    }
  }

 private:
  void Compute(const Action& action) {
    const auto& [kind, group, micro_batch, peer] = action;
    AwaitReceived(action);
    if (stages_.ReadsWeights(action)) {
      for (int bucket : stages_.ParamGroupsOf(group)) sync_.UseWeights(bucket);
    }
    if (kind == ActionKind::kForward) return stage_.Forward(group, micro_batch);
    // The head's weight gradient comes with its input gradient. A block takes memory for its own as late as it can: there may be
    // one slot, which the block above gives back when its gradient has been reduced.
    const bool makes_weight_gradients = kind != ActionKind::kBackwardInput;
    if (makes_weight_gradients && group == stages_.head_group()) UseGrads(group);
    if (kind != ActionKind::kBackwardWeight) stage_.BackwardInput(group, micro_batch);
    if (!makes_weight_gradients) return;
    UseGrads(group);
    stage_.BackwardWeight(group, micro_batch);
  }

  void UseGrads(int group) {
    for (int bucket : stages_.ParamGroupsOf(group)) sync_.UseGrads(bucket);
  }

  void Transfer(const Action& action) {
    const auto& [kind, group, micro_batch, peer] = action;
    Stream& stream = streams_.transfer;
    if (kind == ActionKind::kSendActivation || kind == ActionKind::kSendGradient) {
      const bool activation = kind == ActionKind::kSendActivation;
      const Stage::Border border =
          activation ? stage_.ActivationToSend(group, micro_batch) : stage_.GradientToSend(group, micro_batch);
      stream.Wait(border.ready);
      mesh_.pp->Send(stream, border.data, peer);
      activation ? stage_.ActivationSent(group, micro_batch, stream.Record())
                 : stage_.GradientSent(group, micro_batch, stream.Record());
      return;
    }
    const bool activation = kind == ActionKind::kReceiveActivation;
    const Stage::Border border =
        activation ? stage_.ActivationToReceive(group, micro_batch) : stage_.GradientToReceive(group, micro_batch);
    stream.Wait(border.ready);
    mesh_.pp->Receive(stream, border.data, peer);
    received_[{activation, group, micro_batch}] = stream.Record();
  }

  // The compute stream waits for what this action takes in from another rank, if anything.
  void AwaitReceived(const Action& action) {
    const bool forward = action.kind == ActionKind::kForward;
    const auto found = received_.find({forward, action.group, action.micro_batch});
    if (found == received_.end()) return;
    streams_.compute.Wait(found->second);
    received_.erase(found);
  }

  struct Key {
    bool activation;
    int group, micro_batch;
    auto operator<=>(const Key&) const = default;
  };

  const StageLayout& stages_;
  Stage& stage_;
  ParamSync& sync_;
  const ProcessMesh& mesh_;
  const PlanStreams& streams_;
  std::map<Key, Event> received_;
};

}  // namespace

void RunPlan(const Plan& plan, const StageLayout& stages, Stage& stage, ParamSync& sync, const ProcessMesh& mesh,
             const PlanStreams& streams) {
  PlanRunner runner(stages, stage, sync, mesh, streams);
  RankRecord& record = CurrentRecord();
  for (const Action& action : plan) {
    record.Enter(action);
    runner.Run(action);
  }
  sync.Finish();
}

}  // namespace weft
