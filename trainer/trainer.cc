// The training step and the loop around it (see trainer.h; trainer_state.cc has where weights come from).
#include "trainer/trainer.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "core/config_writer.h"
#include "core/cuda_device.h"
#include "core/file.h"
#include "core/log.h"
#include "parallel/call_agreement.h"
#include "parallel/datagram_socket.h"
#include "parallel/plan_peaks.h"
#include "parallel/rank_record.h"
#include "trainer/layout_check.h"
#include "trainer/loss_plot.h"
#include "trainer/model_setup.h"
#include "trainer/run_folder.h"
#include "trainer/schedule_setup.h"
#include "trainer/verified_layouts.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Each of a rank's streams takes its random delays from a seed of its own.
StreamOptions OptionsOfStream(const TrainerPlace& place, ThreadPool* pool, int number) {
  const auto seed = static_cast<uint64_t>(place.world.rank() * 4 + number + 1);
  return {.pool = pool, .asynchronous = place.asynchronous_streams, .delay_seed = place.asynchronous_streams ? seed : 0};
}

std::unique_ptr<Stream> MakeStream(const TrainerPlace& place, ThreadPool* pool, int number) {
  return Stream::Create(place.device, OptionsOfStream(place, pool, number));
}

MeshShape MeshOf(const RunConfig& config, int num_ranks) {
  const int pp = static_cast<int>(config.parallel.pp), tp = static_cast<int>(config.parallel.tp);
  return {.pp = pp, .dp = num_ranks / (pp * tp), .tp = tp};
}

}  // namespace

Trainer::Trainer(const RunConfig& config, const TrainerPlace& place)
    : config_(config),
      place_(place),
      mesh_(MakeProcessMesh(MeshOf(config, place.world.size()), place.world,
                            place.tensors == nullptr ? place.world : *place.tensors)),
      pool_(std::make_unique<ThreadPool>(place.num_threads)),
      stream_(MakeStream(place, pool_.get(), 0)),
      comm_stream_(MakeStream(place, nullptr, 1)),
      transfer_stream_(MakeStream(place, nullptr, 2)),
      host_stream_(Stream::Create(Device::Cpu())),
      stop_request_(config.output, place.stop_signalled, is_writer()) {}

StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const RunConfig& config, const TrainerPlace& place) {
  std::unique_ptr<Trainer> trainer(new Trainer(config, place));
  Status status = AgreeOnStatus(place.world, trainer->Build());
  if (status.ok()) status = AgreeOnStatus(place.world, trainer->StartWeights());
  if (status.ok()) status = trainer->CheckSameStart();
  if (!status.ok()) return status;
  trainer->training_->WeightsChanged();
  return trainer;
}

Status Trainer::Build() {
  WEFT_RETURN_IF_ERROR(CheckOutput());
  WEFT_ASSIGN_OR_RETURN(data_, Mixture::Open(config_.data.AllSources(), config_.data.sequence_length,
                                             static_cast<uint64_t>(config_.seed)));
  WEFT_ASSIGN_OR_RETURN(model_config_, ResolveModel(config_, data_->first_store()));
  WEFT_ASSIGN_OR_RETURN(generation_config_json_, ReadGenerationConfig(config_));
  WEFT_RETURN_IF_ERROR(CheckValidation());
  return BuildTraining();
}

Status Trainer::CheckValidation() const {
  if (data_->HasValidation() || (config_.eval.every == 0 && config_.checkpoint.keep_best == 0)) return absl::OkStatus();
  const std::string why = StrCat(data_->Names(), " has no validation split (weft data prepare --validation-fraction makes one)");
  if (config_.checkpoint.keep_best > 0) return UserError("checkpoint.keep_best: ", why, ", by whose loss the best would be chosen");
  if (is_writer()) LogWarning("eval.every: ", why, ": nothing is evaluated");
  return absl::OkStatus();
}

// A run that is there already is locked before anybody looks which checkpoint is its newest: another one may be about to end.
Status Trainer::CheckOutput() {
  if (!is_writer()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(CheckMayHoldRun(config_.output));
  std::error_code ignored;
  if (!std::filesystem::exists(config_.output + "/lock", ignored)) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(lock_, RunLock::Take(config_.output));
  return absl::OkStatus();
}

// What each rank does in a step, whether the model can be cut so, and whether its part fits this rank's memory.
Status Trainer::BuildTraining() {
  const TrainingExtents extents = {
      .tokens_per_micro_batch = *config_.train_micro_batch_size_per_gpu * config_.data.sequence_length,
      .max_positions = config_.data.sequence_length,
      .num_micro_batches = static_cast<int>(*config_.gradient_accumulation_steps),
      .num_evaluation_micro_batches = static_cast<int>(EvaluationMicroBatches())};
  WEFT_RETURN_IF_ERROR(CheckTensorParallel(model_config_, mesh_.shape.tp, extents.tokens_per_micro_batch));
  WEFT_ASSIGN_OR_RETURN(const TrainingLayout layout, TrainingLayoutOf(config_, model_config_, mesh_.shape.dp));
  WEFT_RETURN_IF_ERROR(CheckFits(layout, MakeRankPlans(layout, extents, mesh_.coord.of(Axis::kPp))));
  CurrentRecord().SetPlace(mesh_.coord, layout.stages.head_group());
  training_ = std::make_unique<RankTraining>(model_config_, layout, extents, mesh_, streams(), config_.optimizer.params,
                                             config_.gradient_clipping);
  saves_ = std::make_unique<RunSaves>(config_, training_->params(), *stream_, place_.world);
  return absl::OkStatus();
}

Status Trainer::CheckFits(const TrainingLayout& layout, const RankPlans& plans) const {
  DecoderParams params = MakeDecoderParams(model_config_);
  AssignStages(&params, layout.stages);
  const RankMemory memory = MemoryOf(ParamLayout(params.specs, mesh_.shape, mesh_.coord, layout.params), layout.stages,
                                     {plans.training, plans.evaluation}, SavesAsynchronously(config_));
  const Peaks peaks = Max(MeasurePeaks(plans.training, layout.stages), MeasurePeaks(plans.evaluation, layout.stages));
  return CheckFitsMemory(config_, model_config_, memory, peaks.block_stashes, place_.device, place_.ranks_on_host);
}

// A replica takes so many through one evaluation plan: those of a step, or fewer where the splits are small.
int64_t Trainer::EvaluationMicroBatches() const {
  const int64_t per_micro_batch = *config_.train_micro_batch_size_per_gpu * mesh_.shape.dp;
  int64_t sequences = 0;  // of the largest
  for (size_t i = 0; i < data_->num_sources(); ++i) sequences = std::max(sequences, data_->validation(i).num_sequences());
  return std::clamp<int64_t>((sequences + per_micro_batch - 1) / per_micro_batch, 1, *config_.gradient_accumulation_steps);
}

// One rank alone is what others are compared with.
TrainingStreams Trainer::streams() const {
  return {*stream_, *comm_stream_, *transfer_stream_, OptionsOfStream(place_, pool_.get(), 3)};
}

Status Trainer::VerifyLayout() {
  if (place_.world.size() == 1) verified_ = "one rank, of which there is nothing to verify";
  if (config_.verify_parallel == VerifyParallel::kNever) verified_ = "no (verify_parallel: never)";
  if (!verified_.empty() || steps_done_ == config_.steps) return absl::OkStatus();
  const std::string layout = DescribeLayout(config_, mesh_.shape, place_.device);
  std::optional<LayoutAgreement> known;
  if (config_.verify_parallel == VerifyParallel::kAuto && is_writer()) known = FindVerified(config_.output, layout);
  if (known.has_value()) verified_ = DescribeAgreement(*known);
  if (place_.world.AllGatherBytes(known.has_value() ? "known" : "")[0] == "known") return absl::OkStatus();
  const Clock::time_point started = Clock::now();
  const StatusOr<LayoutAgreement> agreement =
      CheckLayout(config_, model_config_, mesh_, streams());
  CurrentRecord().Enter(Phase::kStarting);
  WEFT_RETURN_IF_ERROR(agreement.status());
  verified_ = DescribeAgreement(*agreement);
  LogInfo("verified on a tiny model: ", verified_, ", ", static_cast<int64_t>(SecondsSince(started) * 1e3), " ms");
  return AgreeOnStatus(place_.world, is_writer() ? AddVerified(config_.output, layout, *agreement) : absl::OkStatus());
}

std::string Trainer::DescribeAgreement(const LayoutAgreement& agreement) const {
  return StrCat("mesh ", mesh_.shape.ToString(), " computes what one rank does (differences: loss ", agreement.loss, ", gradients ",
                agreement.gradient, ", updates ", agreement.weight, ")");
}

Status Trainer::Run() {
  WEFT_RETURN_IF_ERROR(VerifyLayout());
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(place_.world, PrepareOutput()));
  WEFT_RETURN_IF_ERROR(CheckOutputIsShared());
  if (steps_done_ == config_.steps) {
    const std::optional<int64_t> curve = config_.scheduler.params.total_num_steps;
    LogInfo("all ", config_.steps, " steps of ", config_.output, " are done; to train on: --set steps=", 2 * config_.steps,
            curve.has_value() ? StrCat(" --set scheduler.params.total_num_steps=", *curve, " (the same curve)") : "");
    return absl::OkStatus();
  }
  LogInfo("training ", config_.output, " on ", DescribeDevice(), ": ", model_config_.model_type, " with ", NumParameters(model_config_),
          " parameters, mesh ", mesh_.shape.ToString(), ", ", *config_.train_batch_size, " sequences of ",
          config_.data.sequence_length, " tokens a step, ", data_->Describe(), DescribeSharing());
  WEFT_RETURN_IF_ERROR(RunToEnd());
  const Status plotted = is_writer() ? PlotLosses() : absl::OkStatus();
  if (!plotted.ok()) LogWarning("no loss curve: ", plotted.message());  // all that matters is saved
  return AgreeOnStatus(place_.world, absl::OkStatus());  // nobody leaves before
}

Status Trainer::PlotLosses() const {
  WEFT_ASSIGN_OR_RETURN(const std::vector<StepMetrics> steps, ReadMetrics(config_.output + "/metrics.jsonl"));
  const std::string plot = config_.output + "/loss.svg";
  WEFT_RETURN_IF_ERROR(WriteFileAtomically(plot, LossPlotSvg(steps, config_.output)));
  LogInfo("loss curve: ", plot);
  return absl::OkStatus();
}

// The writer makes the folder. Checkpoints of another course (the run begins again, or goes on from an earlier one) are
// kept out of the way: the newest one must be this run's, or the next start would go on from that course.
Status Trainer::PrepareOutput() {
  if (!is_writer()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(MakeFolders(config_.output));
  if (!lock_.is_taken()) {
    WEFT_ASSIGN_OR_RETURN(lock_, RunLock::Take(config_.output));
  }
  const std::string checkpoints = config_.output + "/checkpoints";
  const StatusOr<std::string> newest = FindCheckpoint(config_.output);
  std::error_code ignored;  // what cannot be looked at cannot be written below either, and there the error says why
  if (newest.ok() && !std::filesystem::equivalent(*newest, resumed_from_, ignored)) {
    const std::filesystem::path resumed = resumed_from_;
    const bool is_moved = std::filesystem::equivalent(resumed.parent_path(), checkpoints, ignored);
    WEFT_ASSIGN_OR_RETURN(const std::string left, LeaveCourse(config_.output));
    if (is_moved) resumed_from_ = StrCat(left, "/", resumed.filename().string());
  } else if (resumed_from_.empty() && HasUnfinished(config_.output)) {
    LogWarning("the checkpoints in ", checkpoints, " all lack the file 'complete', so the run begins anew");
    WEFT_RETURN_IF_ERROR(LeaveCourse(config_.output).status());
  }
  WEFT_RETURN_IF_ERROR(MakeFolders(checkpoints));
  stop_request_.ClearOld();
  return WriteFileAtomically(config_.output + "/config.yaml", WriteConfig(config_));
}

// Ranks save into the folder that the writer has made. That a host has one of its own would else be found at the first save.
Status Trainer::CheckOutputIsShared() {
  constexpr double kPatienceS = 60;
  const std::string holder = place_.world.AllGatherBytes(lock_.holder())[0];
  const Status seen = AwaitLock(config_.output, holder, kPatienceS);
  return AgreeOnStatus(place_.world, seen.ok() ? seen : WithContext(seen, StrCat("on host ", HostName())));
}

// Keeps the lines of the steps that are done, which is all of the run's course so far.
Status Trainer::OpenMetrics() {
  metrics_file_.reset();
  WEFT_ASSIGN_OR_RETURN(MetricsFile file, MetricsFile::Open(config_.output + "/metrics.jsonl", steps_done_));
  metrics_file_.emplace(std::move(file));
  return absl::OkStatus();
}

// Every error of a step is every rank's, so all save what is sound: the state as it is, or at least the save under way.
Status Trainer::RunToEnd() {
  const int64_t begun_at = steps_done_;
  const Status trained = TrainToEnd();
  if (!trained.ok()) {
    const Status kept = is_sound_ && steps_done_ > begun_at ? saves_->SaveLast(InfoOfNow()) : saves_->Complete();
    if (!kept.ok() && is_writer()) LogWarning(kept.message());
    return trained;
  }
  WEFT_RETURN_IF_ERROR(saves_->SaveLast(InfoOfNow()));
  if (stopping_) {
    LogInfo("stopped after step ", steps_done_, " of ", config_.steps, ", as asked; the same command goes on from there");
    stop_request_.Clear();
  }
  return absl::OkStatus();
}

Status Trainer::TrainToEnd() {
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(place_.world, is_writer() ? OpenMetrics() : absl::OkStatus()));
  const Clock::time_point started = Clock::now();
  double num_steps = 0;  // since then
  while (steps_done_ < config_.steps && !stopping_) {
    WEFT_ASSIGN_OR_RETURN(StepMetrics metrics, Step());
    WEFT_RETURN_IF_ERROR(FinishStep(&metrics));
    const double per_step = SecondsSince(started) / ++num_steps;
    if (steps_done_ < metrics.step) continue;  // rolled back
    const bool last = steps_done_ == config_.steps;
    if (last || stopping_ || steps_done_ % config_.logging.every == 0) {
      LogInfo(FormatStep(metrics, config_.steps, per_step * static_cast<double>(config_.steps - steps_done_)));
    }
  }
  return CheckCallsAgree();  // the last save follows
}

// What follows a step when its turn has come: treatment where it was bad, evaluation, metrics, a checkpoint.
Status Trainer::FinishStep(StepMetrics* metrics) {
  if (!metrics->why_bad.empty()) WEFT_RETURN_IF_ERROR(TreatBadStep(*metrics));
  if (steps_done_ < metrics->step) return absl::OkStatus();  // rolled back
  const bool last = steps_done_ == config_.steps;
  if (last || (config_.eval.every > 0 && steps_done_ % config_.eval.every == 0)) {
    const bool is_mixed = data_->num_sources() > 1;
    WEFT_ASSIGN_OR_RETURN(metrics->eval_loss, Evaluate(is_mixed ? &metrics->eval_loss_by_source : nullptr));
  }
  const Status written = metrics_file_.has_value() ? metrics_file_->Append(*metrics) : absl::OkStatus();
  if (!written.ok()) LogWarning(written.message());  // a lost line of metrics is no reason to lose the run
  WEFT_RETURN_IF_ERROR(saves_->CompleteIfWritten(ranks_writing_));
  const bool due = config_.checkpoint.every > 0 && steps_done_ % config_.checkpoint.every == 0;
  if (!due || last || stopping_) return absl::OkStatus();  // RunToEnd makes the last save of the run
  WEFT_RETURN_IF_ERROR(CheckCallsAgree());
  return saves_->SaveInPassing(InfoOfNow());
}

StatusOr<StepMetrics> Trainer::Step() {
  const Clock::time_point started = Clock::now();
  const int64_t step = steps_done_ + 1;
  RankRecord& record = CurrentRecord();
  record.BeginStep(step);
  WEFT_ASSIGN_OR_RETURN(GlobalBatch batch, NextBatch());
  const double lr = LearningRate(config_.scheduler, config_.optimizer.params.lr, step);
  is_sound_ = false;
  training_->ComputeGradients(std::move(batch.mine), batch.tokens);
  // To leave an update out takes the verdict first. What throws the weights away has the time until they are.
  const bool judges_first = config_.bad_step.action == OnBadStep::kSkip;
  if (!judges_first) training_->Update(lr, step - history_.num_skipped);

  record.Enter(Phase::kReadingBack);
  StepMetrics metrics;
  metrics.step = step;
  metrics.loss = training_->ReadLossSum() / static_cast<double>(batch.tokens);
  metrics.grad_norm = training_->ReadGradNorm();
  metrics.why_bad = Judge(metrics);
  metrics.skipped = judges_first && !metrics.why_bad.empty();
  if (judges_first && !metrics.skipped) training_->Update(lr, step - history_.num_skipped);
  if (metrics.skipped) history_.AddSkipped();
  if (metrics.why_bad.empty()) history_.AddGood(metrics.loss, config_.bad_step.window);
  steps_done_ = step;
  metrics.lr = lr;
  metrics.tokens = *config_.train_batch_size * config_.data.sequence_length;
  const double seconds = SecondsSince(started);
  record.EndStep(seconds);
  metrics.step_ms = seconds * 1e3;
  metrics.tokens_per_s = static_cast<double>(metrics.tokens) / seconds;
  metrics.memory_bytes = PeakMemoryBytes();
  return metrics;
}

// Batches without a token in the loss (prompts alone, of long samples that were split) have no gradient and are stepped over.
StatusOr<Trainer::GlobalBatch> Trainer::NextBatch() {
  constexpr int kMostWithoutLoss = 100;
  for (int without_loss = 0; without_loss < kMostWithoutLoss; ++without_loss) {
    StatusOr<std::vector<MicroBatch>> mine =
        LoadMicroBatches([&](int64_t first, int64_t count) { return data_->TrainingAt(first, count); }, samples_done_,
                         *config_.gradient_accumulation_steps);
    WEFT_ASSIGN_OR_RETURN(const int64_t tokens, AgreeOnTokens(mine));
    if (tokens > 0 && without_loss > 0 && is_writer()) {
      LogWarning("step ", steps_done_ + 1, ": stepped over ", without_loss * *config_.train_batch_size,
                 " sequences none of whose tokens carries loss");
    }
    samples_done_ += *config_.train_batch_size;
    if (tokens > 0) return GlobalBatch{*std::move(mine), tokens};
  }
  return DataError(data_->Names(), ": ", kMostWithoutLoss, " global batches in a row have no token that carries loss: their samples "
                   "are prompts alone (long ones that were split?); prepare the data with a longer --sequence-length or --too-long "
                   "cut, or raise train_batch_size");
}

// `count` micro-batches of this replica out of the run of samples that begins at `first` and that the replicas share.
StatusOr<std::vector<MicroBatch>> Trainer::LoadMicroBatches(SamplesAt samples_at, int64_t first, int64_t count) {
  const int64_t size = *config_.train_micro_batch_size_per_gpu;
  const int64_t mine = first + mesh_.coord.of(Axis::kDp) * count * size;
  std::vector<MicroBatch> micro_batches;
  for (int64_t i = 0; i < count; ++i) {
    WEFT_ASSIGN_OR_RETURN(MicroBatch micro_batch, samples_at(mine + i * size, size));
    micro_batches.push_back(std::move(micro_batch));
  }
  return micro_batches;
}

StatusOr<int64_t> Trainer::AgreeOnTokens(const StatusOr<std::vector<MicroBatch>>& mine) {
  // Tokens in the loss; ranks that failed; ranks that were asked to stop; whether collectives so far were of one size; ranks
  // that still write a part of a save.
  int64_t counts[5] = {mine.ok() ? training_->CountedTokens(*mine) : 0, mine.ok() ? 0 : 1, stop_request_.Asked() ? 1 : 0,
                       CallImbalance(CurrentRecord()), saves_->IsWriting() ? 1 : 0};
  place_.world.AllReduce(*host_stream_, TensorView(counts, {5}, DType::kI64, Device::Cpu()));
  if (counts[3] != 0) return DescribeCallDisagreement(place_.world, CurrentRecord());
  is_sound_ = true;
  if (counts[1] > 0) return AgreeOnStatus(place_.world, mine.status());
  stopping_ = stopping_ || counts[2] > 0;
  ranks_writing_ = counts[4];
  return counts[0];
}

StatusOr<Trainer::LossSum> Trainer::EvaluateSplit(const Loader& validation) {
  const int64_t count = EvaluationMicroBatches(), per_chunk = *config_.train_micro_batch_size_per_gpu * mesh_.shape.dp * count;
  const int64_t sequences = validation.num_sequences();
  const int64_t limit = config_.eval.batches > 0 ? config_.eval.batches * *config_.train_batch_size : sequences;
  LossSum sum;
  for (int64_t first = 0; first < std::min(sequences, limit); first += per_chunk) {
    CurrentRecord().Enter(Phase::kEvaluating);
    StatusOr<std::vector<MicroBatch>> micro_batches = LoadMicroBatches(
        [&](int64_t sample, int64_t num_samples) { return validation.At(sample, num_samples); }, first, count);
    WEFT_ASSIGN_OR_RETURN(const int64_t unmasked, AgreeOnTokens(micro_batches));
    training_->Evaluate(std::move(*micro_batches));
    sum.loss += training_->ReadLossSum();
    sum.tokens += unmasked;
  }
  return sum;
}

StatusOr<std::optional<double>> Trainer::Evaluate(std::vector<double>* by_source) {
  if (!data_->HasValidation()) return std::optional<double>();
  LossSum total;
  for (size_t i = 0; i < data_->num_sources(); ++i) {
    WEFT_ASSIGN_OR_RETURN(const LossSum sum, EvaluateSplit(data_->validation(i)));
    total.loss += sum.loss;
    total.tokens += sum.tokens;
    if (by_source != nullptr) by_source->push_back(sum.loss / static_cast<double>(sum.tokens));
  }
  return std::optional<double>(total.loss / static_cast<double>(std::max<int64_t>(total.tokens, 1)));
}

// Wrong sums, which MPI need not notice, must not be saved.
Status Trainer::CheckCallsAgree() {
  int64_t imbalance = CallImbalance(CurrentRecord());
  place_.world.AllReduce(*host_stream_, TensorView(&imbalance, {1}, DType::kI64, Device::Cpu()));
  return imbalance == 0 ? absl::OkStatus() : DescribeCallDisagreement(place_.world, CurrentRecord());
}

CheckpointInfo Trainer::InfoOfNow() const {
  return {.step = steps_done_,
          .samples = samples_done_,
          .config_yaml = WriteConfig(config_),
          .model_config_json = ModelConfigToJson(model_config_).dump(2),
          .generation_config_json = generation_config_json_,
          .tokenizer_json = data_->first_store().tokenizer_json(),
          .tokenizer_config_json = data_->first_store().tokenizer_config_json(),
          .table_yaml = data_->table_yaml(),
          .data_digest = data_->digest(),
          .mesh = mesh_.shape.ToString(),
          .step_history_json = history_.ToJson(),
          .verified = verified_};
}

// ", 4 micro-batches of 2 by 1f1b, ZeRO 3, optimizer in host memory": what the mesh does not say.
std::string Trainer::DescribeSharing() const {
  std::string text = StrCat(", ", *config_.gradient_accumulation_steps, " micro-batches of ", *config_.train_micro_batch_size_per_gpu);
  if (mesh_.shape.pp > 1) StrAppend(&text, " by ", NameOf(config_.parallel.schedule));
  const ZeroSection& zero = config_.zero_optimization;
  if (zero.stage > 0) StrAppend(&text, ", ZeRO ", zero.stage, mesh_.shape.dp == 1 ? " (one replica: nothing to share)" : "");
  if (zero.offload_optimizer.device == OffloadDevice::kCpu) StrAppend(&text, ", optimizer in host memory");
  return text;
}

std::string Trainer::DescribeDevice() const {
  if (place_.device.is_cuda()) return cuda::DeviceName(place_.device.index);
  return StrCat(place_.num_threads, place_.num_threads == 1 ? " CPU thread a rank" : " CPU threads a rank");
}

double Trainer::PeakMemoryBytes() const {
  if (place_.device.is_cuda()) {
    return static_cast<double>(cuda::TotalBytes(place_.device.index) - cuda::FreeBytes(place_.device.index));
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

}  // namespace weft
