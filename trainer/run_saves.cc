// When a run's saves begin, end and are pruned (see run_saves.h).
#include "trainer/run_saves.h"

#include <utility>

#include "core/log.h"
#include "parallel/rank_record.h"
#include "trainer/metrics.h"

namespace weft {

bool SavesAsynchronously(const RunConfig& config) {
  const CheckpointSection& checkpoint = config.checkpoint;
  return checkpoint.asynchronous && checkpoint.every > 0 && checkpoint.every < config.steps;
}

RunSaves::RunSaves(const RunConfig& config, const ParamStore& params, Stream& stream, Communicator& world)
    : config_(config), params_(params), stream_(stream), world_(world) {
  if (SavesAsynchronously(config)) snapshot_.emplace(params);
}

Status RunSaves::SaveInPassing(const CheckpointInfo& info) {
  WEFT_RETURN_IF_ERROR(Complete());
  CurrentRecord().Enter(Phase::kSaving);
  return Judge(snapshot_.has_value() ? Begin(info) : Save(info), info.step);
}

Status RunSaves::CompleteIfWritten(int64_t ranks_writing) { return ranks_writing == 0 ? Complete() : absl::OkStatus(); }

Status RunSaves::Complete() {
  if (under_way_ == nullptr) return absl::OkStatus();
  CurrentRecord().Enter(Phase::kSaving);
  const std::unique_ptr<CheckpointSave> save = std::exchange(under_way_, nullptr);
  const Status finished = save->Finish();
  if (finished.ok()) Saved(save->step());
  return Judge(finished, save->step());
}

Status RunSaves::SaveLast(const CheckpointInfo& info) {
  const Status completed = Complete();
  if (!completed.ok() && is_first()) LogWarning(completed.message(), "; the run's last state is saved all the same");
  CurrentRecord().Enter(Phase::kSaving);
  const Status saved = Save(info);
  if (saved.ok()) return saved;
  const StatusOr<std::string> newest = FindCheckpoint(config_.output);
  return Status(saved.code(), StrCat("step ", info.step, ", the last of this run, is not saved: ", saved.message(), "; ",
                                     newest.ok() ? StrCat("the newest checkpoint is ", *newest) : "there is no checkpoint",
                                     ". Mend that, and the same command goes on from there"));
}

Status RunSaves::Save(const CheckpointInfo& info) {
  if (snapshot_.has_value()) {
    WEFT_RETURN_IF_ERROR(SaveCheckpoint(config_.output, info, snapshot_->Take(stream_), world_));
  } else {
    WEFT_RETURN_IF_ERROR(SaveTrainState(stream_, params_, config_.output, info, world_));
  }
  Saved(info.step);
  return absl::OkStatus();
}

Status RunSaves::Begin(const CheckpointInfo& info) {
  WEFT_ASSIGN_OR_RETURN(under_way_, CheckpointSave::Start(config_.output, info, snapshot_->Take(stream_), world_));
  return absl::OkStatus();
}

// What cannot be removed takes room, and no more: the checkpoint is there.
void RunSaves::Saved(int64_t step) const {
  LogInfo("saved ", config_.output, "/checkpoints/step-", step);
  const Status pruned = is_first() ? Prune() : absl::OkStatus();
  if (!pruned.ok()) LogWarning(pruned.message(), "; older checkpoints stay until the next save can remove them");
}

Status RunSaves::Judge(const Status& status, int64_t step) const {
  if (status.ok()) return status;
  const Status failure = WithContext(status, StrCat("step ", step, " is not saved"));
  if (config_.checkpoint.on_failure == OnSaveFailure::kStop) return failure;
  if (is_first()) {
    LogWarning(failure.message(), "; the run goes on, and what was saved before stays (checkpoint.on_failure: continue)");
  }
  return absl::OkStatus();
}

Status RunSaves::Prune() const {
  KeepRule rule = {.newest = config_.checkpoint.keep, .best = config_.checkpoint.keep_best};
  if (rule.best > 0) {
    WEFT_ASSIGN_OR_RETURN(rule.losses, ReadValidationLosses(config_.output + "/metrics.jsonl"));
  }
  return PruneCheckpoints(config_.output, rule);
}

}  // namespace weft
