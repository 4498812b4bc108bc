// Where a run stands, taken from outside: at its start, from a seed, a model or a checkpoint; and when a step was bad, from
// the checkpoint before it (see trainer.h and bad_step.h).
#include <algorithm>
#include <filesystem>

#include "core/config_writer.h"
#include "core/log.h"
#include "parallel/rank_record.h"
#include "trainer/resume.h"
#include "trainer/train_state.h"
#include "trainer/trainer.h"

namespace weft {

// Where the weights come from: a checkpoint, a Hugging Face folder, or the seed.
Status Trainer::StartWeights() {
  const std::string& resume = config_.checkpoint.resume;
  if (resume != "never") {
    const StatusOr<std::string> checkpoint = FindCheckpoint(resume == "auto" ? config_.output : resume);
    if (checkpoint.ok()) return Resume(*checkpoint);
    if (resume != "auto" || !absl::IsNotFound(checkpoint.status())) return checkpoint.status();
  }
  return TakeFreshState();
}

// Ranks read the files of their own hosts. Other data or another checkpoint on one of them would not stop the run, only
// make its numbers wrong.
Status Trainer::CheckSameStart() {
  const std::string checkpoint = std::filesystem::path(resumed_from_).filename().string();
  const std::string mine = StrCat(data_->digest(), " ", steps_done_, " ", samples_done_);
  const std::string shown = StrCat("data ", data_->digest().substr(0, 12), ", ", checkpoint.empty() ? "no checkpoint" : checkpoint);
  const std::vector<std::string> starts = place_.world.AllGatherBytes(mine), texts = place_.world.AllGatherBytes(shown);
  for (size_t rank = 1; rank < starts.size(); ++rank) {
    if (starts[rank] == starts[0]) continue;
    return UserError("rank ", rank, " would start from ", texts[rank], ", rank 0 from ", texts[0], "; ", data_->Names(), " and ",
                     config_.output, " must be the same files on every host (a shared file system, or copies)");
  }
  return absl::OkStatus();
}

Status Trainer::Resume(const std::string& checkpoint) {
  WEFT_ASSIGN_OR_RETURN(const CheckpointInfo info, ReadCheckpointInfo(checkpoint));
  WEFT_RETURN_IF_ERROR(CheckSameRun(checkpoint, info.config_yaml, WriteConfig(config_)));
  if (info.data_digest != data_->digest()) {
    return UserError(checkpoint, " was trained on other data than ", data_->Names(),
                     " now holds (was it prepared again, or mixed with other weights?); restore it, choose another output, or set checkpoint.resume: "
                     "never to begin again");
  }
  if (info.step > config_.steps) {
    return UserError(checkpoint, " is at step ", info.step, ", beyond steps: ", config_.steps,
                     "; raise steps, or set checkpoint.resume: never to begin again");
  }
  WEFT_RETURN_IF_ERROR(TakeState(checkpoint, info));
  resumed_from_ = checkpoint;
  LogInfo("resumed ", checkpoint, " after step ", info.step);
  return absl::OkStatus();
}

Status Trainer::TakeState(const std::string& checkpoint, const CheckpointInfo& info) {
  WEFT_ASSIGN_OR_RETURN(history_, StepHistory::FromJson(info.step_history_json));
  const Status loaded = LoadTrainState(*stream_, training_->params(), checkpoint);
  if (!loaded.ok()) {
    return absl::Status(loaded.code(), StrCat(loaded.message(), "; an earlier checkpoint beside it may be whole: "
                                              "checkpoint.resume: PATH goes on from that"));
  }
  steps_done_ = info.step;
  samples_done_ = info.samples;
  return absl::OkStatus();
}

Status Trainer::TakeFreshState() {
  steps_done_ = samples_done_ = 0;
  history_ = {};
  if (!config_.model.path.empty()) {
    LogInfo("loading ", config_.model.path);
    return LoadWeights(*stream_, training_->params(), config_.model.path);
  }
  training_->params().Initialize(*stream_, static_cast<uint64_t>(config_.seed));
  return absl::OkStatus();
}

// Ranks have reduced loss and norm and read the same; but where the run goes on after a bad step, ranks that saw anything
// else (a broken GPU is enough) would wait for each other forever. Where it ends, each may do so by itself.
std::string Trainer::Judge(const StepMetrics& metrics) {
  const std::string why = WhyBad(metrics.loss, metrics.grad_norm, history_, config_.bad_step);
  if (config_.bad_step.action == OnBadStep::kStop) return why;
  int64_t num_bad = why.empty() ? 0 : 1;
  place_.world.AllReduce(*host_stream_, TensorView(&num_bad, {1}, DType::kI64, Device::Cpu()));
  if (num_bad == 0) return "";
  const std::vector<std::string> all = place_.world.AllGatherBytes(why);
  return *std::find_if(all.begin(), all.end(), [](const std::string& each) { return !each.empty(); });
}

Status Trainer::TreatBadStep(const StepMetrics& bad) {
  const int64_t limit = config_.bad_step.limit;
  switch (config_.bad_step.action) {
    case OnBadStep::kStop:
      return UserError("step ", bad.step, " is bad: ", bad.why_bad, "; nothing of it is saved. Start again with a lower "
                       "optimizer.params.lr or a longer warm-up, from the beginning or from an earlier checkpoint "
                       "(checkpoint.resume: never, or its path; one of the step just before may be bad already); or, where the "
                       "data is at fault, with bad_step.action: skip or roll_back");
    case OnBadStep::kSkip:
      if (history_.num_skipped_in_a_row > limit) {
        return UserError("step ", bad.step, " is bad: ", bad.why_bad, "; so were the ", limit, " before it, which were skipped "
                         "(bad_step.limit). So many in a row are hardly the data's fault: go on with a lower optimizer.params.lr "
                         "from an earlier checkpoint (checkpoint.resume: its path)");
      }
      if (is_writer()) LogWarning("step ", bad.step, " is skipped, the weights stay as they were: ", bad.why_bad);
      return absl::OkStatus();
    case OnBadStep::kRollBack:
      return RollBack(bad);
  }
  return absl::OkStatus();
}

// Weights, moments and steps are again those of the newest checkpoint; the data goes on behind the bad batch, so that what
// led to it is not seen again. The checkpoints to come hold where the data stands. A run that is killed before the first of
// them does all of this once more.
Status Trainer::RollBack(const StepMetrics& bad) {
  WEFT_RETURN_IF_ERROR(saves_->Complete());  // it may be the newest checkpoint
  CurrentRecord().Enter(Phase::kRollingBack);
  WEFT_ASSIGN_OR_RETURN(const std::string checkpoint, StateToGoBackTo());
  num_rollbacks_ = checkpoint == rolled_back_to_ ? num_rollbacks_ + 1 : 1;
  rolled_back_to_ = checkpoint;
  const std::string target = checkpoint.empty() ? "the start of the run" : checkpoint;
  if (num_rollbacks_ > config_.bad_step.limit) {
    return UserError("step ", bad.step, " is bad: ", bad.why_bad, "; the run has gone back to ", target, " ", config_.bad_step.limit,
                     " times already (bad_step.limit). So often it is hardly the data's fault: go on with a lower "
                     "optimizer.params.lr, or from an earlier checkpoint (checkpoint.resume: its path), this one may be bad already");
  }
  const int64_t samples = samples_done_;
  training_->params().Clear(*stream_);  // what is no number would stay in the padding of shards, which no file holds
  Status loaded;
  if (checkpoint.empty()) {
    loaded = TakeFreshState();
  } else {
    const StatusOr<CheckpointInfo> info = ReadCheckpointInfo(checkpoint);
    loaded = info.ok() ? TakeState(checkpoint, *info) : info.status();
  }
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(place_.world, loaded));
  training_->WeightsChanged();
  if (is_writer()) {
    LogWarning("step ", bad.step, " is bad: ", bad.why_bad, "; the run goes on from ", target, " after step ", steps_done_,
               " and steps over the ", samples - samples_done_, " sequences since then");
  }
  samples_done_ = samples;
  return OpenMetrics();
}

// The run's newest checkpoint, or while it has none what it began with; empty: a fresh model. As the writer sees it.
StatusOr<std::string> Trainer::StateToGoBackTo() {
  StatusOr<std::string> newest = is_writer() ? FindCheckpoint(config_.output) : std::string();
  if (absl::IsNotFound(newest.status())) newest = resumed_from_;
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(place_.world, newest.status()));
  return place_.world.AllGatherBytes(*newest)[0];
}

}  // namespace weft
