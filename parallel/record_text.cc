// Words for places and calls (see record_text.h).
#include "parallel/record_text.h"

#include "core/str_cat.h"

namespace weft {
namespace {

const char* PhaseText(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return "starting";
    case Phase::kLoadingData:
      return "loading data";
    case Phase::kTraining:
      return "running its plan";
    case Phase::kUpdating:
      return "updating the weights";
    case Phase::kReadingBack:
      return "waiting for its device";
    case Phase::kEvaluating:
      return "evaluating";
    case Phase::kSaving:
      return "saving a checkpoint";
    case Phase::kRollingBack:
      return "rolling back to a checkpoint";
    case Phase::kEnded:
      return "the end";
  }
  return "an unknown phase";
}

std::string GroupText(int group, int head_group) {
  if (group == 0) return "the embedding";
  if (group == head_group) return "the head";
  return StrCat("block ", group - 1);
}

const char* ActionText(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return "forward of ";
    case ActionKind::kBackward:
      return "backward of ";
    case ActionKind::kBackwardInput:
      return "input gradient of ";
    case ActionKind::kBackwardWeight:
      return "weight gradient of ";
    case ActionKind::kSendActivation:
      return "sending the output of ";
    case ActionKind::kReceiveActivation:
      return "receiving the input of ";
    case ActionKind::kSendGradient:
      return "sending the input gradient of ";
    case ActionKind::kReceiveGradient:
      return "receiving the output gradient of ";
    case ActionKind::kGather:
      return "gathering the weights of ";
    case ActionKind::kRelease:
      return "releasing the weights of ";
    case ActionKind::kReduce:
      return "reducing the gradients of ";
    case ActionKind::kReduceTied:
      return "reducing the tied embedding's gradient";
    case ActionKind::kReduceVectors:
      return "reducing the gradients of norms and biases";
  }
  return "an unknown action on ";
}

std::string Describe(const Action& action, int head_group) {
  std::string text;
  if (IsCompute(action.kind) || IsTransfer(action.kind)) text = StrCat("micro-batch ", action.micro_batch, ", ");
  StrAppend(&text, ActionText(action.kind));
  if (action.kind < ActionKind::kReduceTied) StrAppend(&text, GroupText(action.group, head_group));
  return text;
}

const char* OperationText(Operation operation) {
  switch (operation) {
    case Operation::kAllReduce:
      return "the all-reduce";
    case Operation::kAllGather:
      return "the all-gather";
    case Operation::kReduceScatter:
      return "the reduce-scatter";
    case Operation::kBroadcast:
      return "the broadcast";
    case Operation::kSend:
      return "the send";
    case Operation::kReceive:
      return "the receive";
    case Operation::kAllGatherBytes:
      return "the host's exchange";
  }
  return "an unknown call";
}

}  // namespace

std::string Describe(const Place& place, int head_group) {
  std::string text = place.step > 0 ? StrCat("step ", place.step, ", ") : "";
  if (!place.in_action) return StrCat(text, PhaseText(place.phase));
  if (place.phase == Phase::kEvaluating) StrAppend(&text, "evaluating, ");
  return StrCat(text, Describe(place.action, head_group));
}

std::string Describe(const Position& position) { return Describe(position.place, position.head_group); }

std::string DescribeCall(const CallRecord& call) {
  std::string text = OperationText(call.operation);
  if (call.num_elements > 0) StrAppend(&text, " of ", call.num_elements, " ", DTypeName(call.dtype));
  if (call.operation == Operation::kSend) StrAppend(&text, " to its rank ", call.peer);
  if (call.operation == Operation::kReceive || call.operation == Operation::kBroadcast) {
    StrAppend(&text, " from its rank ", call.peer);
  }
  return text;
}

std::string DescribeCall(const CommunicatorRecord& record) {
  const bool transfers = record.inside == CommunicatorRecord::Inside::kTransfer;
  return StrCat(DescribeCall(transfers ? record.transfer : record.Collective(record.num_collectives)), " on ",
                record.name);
}

}  // namespace weft
