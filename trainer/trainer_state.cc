// Where a run stands, taken from outside: at its start, from a seed, a model or a checkpoint; and when a step was bad, from
// the checkpoint before it (see trainer.h and bad_step.h).
#include <algorithm>
#include <filesystem>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/config_writer.h"
#include "core/log.h"
#include "parallel/rank_record.h"
#include "trainer/resume.h"
#include "trainer/run_folder.h"
#include "trainer/train_state.h"
#include "trainer/trainer.h"

namespace weft {

namespace {

// What is wrong with a checkpoint, and which other one of its run there is.
Status WithOthers(const Status& damage, const std::string& checkpoint) {
  const StatusOr<std::vector<std::string>> all = ListCheckpoints(std::filesystem::path(checkpoint).parent_path().parent_path().string());
  for (const std::string& other : all.value_or(std::vector<std::string>())) {
    if (other == checkpoint) continue;
    return Status(damage.code(), StrCat(damage.message(), "; another checkpoint of this run may be whole: checkpoint.resume: ", other,
                                        " goes on from that"));
  }
  return Status(damage.code(), StrCat(damage.message(), "; there is no other checkpoint of this run: checkpoint.resume: never begins again"));
}

}  // namespace

// A checkpoint of this run's own folder is moved aside by the course that begins from it (PrepareOutput): the same command must
// find it again.
std::string Trainer::PlaceNow(const std::string& path) const {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto canonical = [&](const std::string& each) { return fs::weakly_canonical(fs::absolute(each), ignored); };
  const fs::path given = canonical(path);
  const fs::path named = given.has_filename() ? given : given.parent_path();  // without a slash at its end
  if (named.parent_path() != canonical(config_.output + "/checkpoints") || fs::exists(named, ignored)) return path;
  for (const std::string& left : LeftCourses(config_.output)) {
    const std::string moved = StrCat(left, "/", named.filename().string());
    if (!fs::exists(moved, ignored)) continue;
    if (is_writer()) LogWarning(path, " is gone from there; begins from ", moved, ", where an earlier start has kept it");
    return moved;
  }
  return path;
}

// The newest checkpoint of the course that this very command began earlier, from the one that it names; empty: there is none.
// A job that is requeued with the command it had would otherwise begin there at every start, and never come to its end.
// Of a damaged newest one an older one says whose it is, and Resume that it is damaged.
std::string Trainer::OwnCourse() const {
  const StatusOr<std::vector<std::string>> checkpoints = ListCheckpoints(config_.output);
  if (!checkpoints.ok()) return "";
  for (const std::string& checkpoint : *checkpoints) {
    const StatusOr<CheckpointInfo> info = ReadCheckpointInfo(checkpoint);
    if (!info.ok()) continue;
    if (!IsCourseOf(info->config_yaml, WriteConfig(config_))) return "";
    LogInfo("goes on with what this command began from ", config_.checkpoint.resume, "; to begin there again choose another output");
    return checkpoints->front();
  }
  return "";
}

// Where the weights come from: a checkpoint, a Hugging Face folder, or the seed.
Status Trainer::StartWeights() {
  const std::string& resume = config_.checkpoint.resume;
  if (resume != "never") {
    if (resume != "auto") {
      const std::string own = OwnCourse();
      if (!own.empty()) return Resume(own);
    }
    const StatusOr<std::string> checkpoint = FindCheckpoint(resume == "auto" ? config_.output : PlaceNow(resume));
    if (checkpoint.ok()) return Resume(*checkpoint);
    if (resume != "auto" || !absl::IsNotFound(checkpoint.status())) return checkpoint.status();
    const std::vector<std::string> left = LeftCourses(config_.output);
    if (!left.empty() && is_writer()) {
      LogWarning(config_.output, " has no checkpoint of its own course yet, so it begins anew; an older course lies in ", left.front(),
                 " (checkpoint.resume: PATH goes on from one of those)");
    }
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
    return UserError("rank ", rank, " would start from ", texts[rank], ", rank 0 from ", texts[0], "; ", data_->Names(),
                     " must be the same files on every host (shared, or copies), and ", config_.output, " a folder that all share");
  }
  return absl::OkStatus();
}

Status Trainer::Resume(const std::string& checkpoint) {
  const StatusOr<CheckpointInfo> read = ReadCheckpointInfo(checkpoint);
  if (!read.ok()) return WithOthers(read.status(), checkpoint);
  const CheckpointInfo& info = *read;
  WEFT_RETURN_IF_ERROR(CheckSameRun(checkpoint, info.config_yaml, WriteConfig(config_), config_.checkpoint.resume != "auto"));
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
  if (!loaded.ok()) return WithOthers(loaded, checkpoint);
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

// Ranks have reduced loss and norm and read the same; but ranks that saw anything else (a broken GPU is enough) would wait for
// each other forever, whether the run goes on or ends: both are done by all of them together.
std::string Trainer::Judge(const StepMetrics& metrics) {
  const std::string why = WhyBad(metrics.loss, metrics.grad_norm, history_, config_.bad_step);
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
        is_sound_ = CheckCallsAgree().ok();  // what was skipped has left no trace
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
  const int64_t samples = samples_done_;
  WEFT_ASSIGN_OR_RETURN(const std::string checkpoint, TakeNewestState());
  num_rollbacks_ = checkpoint == rolled_back_to_ ? num_rollbacks_ + 1 : 1;
  rolled_back_to_ = checkpoint;
  const std::string target = checkpoint.empty() ? "the start of the run" : checkpoint;
  if (num_rollbacks_ > config_.bad_step.limit) {
    return UserError("step ", bad.step, " is bad: ", bad.why_bad, "; the run has gone back to ", target, " ", config_.bad_step.limit,
                     " times already (bad_step.limit). So often it is hardly the data's fault: go on with a lower "
                     "optimizer.params.lr, or from an earlier checkpoint (checkpoint.resume: its path), this one may be bad already");
  }
  training_->WeightsChanged();
  if (is_writer()) {
    LogWarning("step ", bad.step, " is bad: ", bad.why_bad, "; the run goes on from ", target, " after step ", steps_done_,
               " and steps over the ", samples - samples_done_, " sequences since then");
  }
  samples_done_ = samples;
  const Status opened = is_writer() ? OpenMetrics() : absl::OkStatus();
  if (!opened.ok()) {  // no reason to lose the run
    LogWarning(opened.message(), "; it may still tell of the steps that were undone, and the run goes on without it");
  }
  return absl::OkStatus();
}

// Of the states to go back to the newest that all ranks can take: a checkpoint that is damaged is stepped over with a warning.
StatusOr<std::string> Trainer::TakeNewestState() {
  WEFT_ASSIGN_OR_RETURN(const std::vector<std::string> states, StatesToGoBackTo());
  Status taken;
  for (const std::string& state : states) {
    training_->params().Clear(*stream_);  // what is no number would stay in the padding of shards, which no file holds
    if (state.empty()) {
      taken = TakeFreshState();
    } else {
      const StatusOr<CheckpointInfo> info = ReadCheckpointInfo(state);
      taken = info.ok() ? TakeState(state, *info) : info.status();
    }
    taken = AgreeOnStatus(place_.world, taken);
    if (taken.ok()) return state;
    if (is_writer()) LogWarning("cannot go back to ", state.empty() ? "the start of the run" : state, ": ", taken.message());
  }
  return taken;
}

// The run's checkpoints, the newest first, or while it has none what it began with; empty: a fresh model. As the writer sees it.
StatusOr<std::vector<std::string>> Trainer::StatesToGoBackTo() {
  StatusOr<std::vector<std::string>> mine = is_writer() ? ListCheckpoints(config_.output) : std::vector<std::string>();
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(place_.world, mine.status()));
  if (mine->empty()) mine->push_back(resumed_from_);
  const std::vector<std::string> states = absl::StrSplit(place_.world.AllGatherBytes(absl::StrJoin(*mine, "\n"))[0], '\n');
  return states;
}

}  // namespace weft
