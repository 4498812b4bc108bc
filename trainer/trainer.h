// The trainer: what a step is, and the loop around it. Everything that happens in a step is what Step() reads like.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "checkpoint/checkpoint.h"
#include "data/mixture.h"
#include "parallel/process_mesh.h"
#include "trainer/bad_step.h"
#include "trainer/layout_check.h"
#include "trainer/metrics.h"
#include "trainer/rank_training.h"
#include "trainer/run_config.h"
#include "trainer/run_lock.h"
#include "trainer/run_saves.h"
#include "trainer/stop_request.h"

namespace weft {

// The machine a run is given.
struct TrainerPlace {
  Communicator& world;  // all ranks; host memory
  Communicator* tensors = nullptr;  // all ranks, in the same order; memory of `device`. nullptr: `world` reaches it
  Device device;
  int num_threads = 1;              // of this rank's CPU kernels
  int ranks_on_host = 1;            // this one among them; they share its memory
  bool asynchronous_streams = false;  // CPU: real queues with random delays (tests)
  const std::atomic<bool>* stop_signalled = nullptr;  // set when this process has been asked to stop; may be null
};

class Trainer {
 public:
  // Opens the data, builds the model, and takes initial weights, those of model.path, or those of the checkpoint to
  // resume. Writes nothing. Every rank returns the same status.
  static StatusOr<std::unique_ptr<Trainer>> Create(const RunConfig& config, const TrainerPlace& place);

  // Trains up to config.steps; writes metrics, checkpoints and the loss curve under config.output.
  Status Run();

  // One optimizer step on the next global batch. A bad one leaves the weights as they were where the configuration says
  // skip; whatever else is to become of it is for Run().
  StatusOr<StepMetrics> Step();
  // Mean loss over the validation splits of all sources; nullopt when there are none. `by_source`, where it is asked for,
  // becomes the mean of each [sources], NaN where it has no validation split.
  StatusOr<std::optional<double>> Evaluate(std::vector<double>* by_source = nullptr);

  int64_t steps_done() const { return steps_done_; }
  ParamStore& params() { return training_->params(); }

 private:
  Trainer(const RunConfig& config, const TrainerPlace& place);
  Status Build();
  Status CheckOutput();
  Status CheckValidation() const;
  Status BuildTraining();
  Status CheckFits(const TrainingLayout& layout, const RankPlans& plans) const;
  Status StartWeights();
  std::string OwnCourse() const;
  // A checkpoint's path, or where this run has moved it.
  std::string PlaceNow(const std::string& path) const;
  Status CheckSameStart();
  Status Resume(const std::string& checkpoint);
  // Weights, moments and the place in the run: those of a checkpoint, or those of a run's beginning.
  Status TakeState(const std::string& checkpoint, const CheckpointInfo& info);
  Status TakeFreshState();
  // Where the configuration asks for it: whether these ranks, laid out like this, compute what one does (layout_check.h).
  Status VerifyLayout();
  std::string DescribeAgreement(const LayoutAgreement& agreement) const;
  Status PrepareOutput();
  Status CheckOutputIsShared();
  Status RunToEnd();
  Status CheckCallsAgree();
  Status TrainToEnd();
  Status PlotLosses() const;
  CheckpointInfo InfoOfNow() const;
  Status OpenMetrics();  // by the writer
  Status FinishStep(StepMetrics* metrics);
  // WhyBad() of the step, which is bad for all ranks if it is for one.
  std::string Judge(const StepMetrics& metrics);
  // What the configuration says shall become of it. All ranks together.
  Status TreatBadStep(const StepMetrics& bad);
  Status RollBack(const StepMetrics& bad);
  StatusOr<std::string> TakeNewestState();
  StatusOr<std::vector<std::string>> StatesToGoBackTo();
  struct LossSum {
    double loss = 0;  // summed over `tokens`
    int64_t tokens = 0;
  };
  StatusOr<LossSum> EvaluateSplit(const Loader& validation);
  using SamplesAt = absl::FunctionRef<StatusOr<MicroBatch>(int64_t first_sample, int64_t count)>;
  struct GlobalBatch {
    std::vector<MicroBatch> mine;  // this replica's
    int64_t tokens = 0;            // in the loss, of all replicas
  };
  StatusOr<GlobalBatch> NextBatch();
  StatusOr<std::vector<MicroBatch>> LoadMicroBatches(SamplesAt samples_at, int64_t first, int64_t count);
  // The step's control reduction: unmasked tokens of all replicas' micro-batches. An error of any rank becomes
  // everybody's, and so does a request to stop; collectives that were not the same on all ranks are an error; and all know
  // who still writes a part of a save.
  StatusOr<int64_t> AgreeOnTokens(const StatusOr<std::vector<MicroBatch>>& mine);
  std::string DescribeDevice() const;
  std::string DescribeSharing() const;
  int64_t EvaluationMicroBatches() const;
  TrainingStreams streams() const;
  double PeakMemoryBytes() const;
  bool is_writer() const { return place_.world.rank() == 0; }

  const RunConfig config_;
  TrainerPlace place_;
  ProcessMesh mesh_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Stream> stream_;       // all computation
  std::unique_ptr<Stream> comm_stream_;      // gathers and reductions over the data-parallel ranks
  std::unique_ptr<Stream> transfer_stream_;  // between pipeline stages
  std::unique_ptr<Stream> host_stream_;  // CPU, for collectives on counts

  std::unique_ptr<Mixture> data_;
  ModelConfig model_config_;
  std::string generation_config_json_;  // of model.path, as checkpoints carry it
  std::unique_ptr<RankTraining> training_;
  int64_t steps_done_ = 0;
  int64_t samples_done_ = 0;  // taken from the data; more than those of steps_done_ where data was stepped over
  StepHistory history_;
  RunLock lock_;  // of the writer
  std::unique_ptr<RunSaves> saves_;  // its thread ends before the lock is given back
  int64_t ranks_writing_ = 0;  // parts of the save under way, as of the newest control reduction
  StopRequest stop_request_;
  bool stopping_ = false;     // after this step; the same on all ranks
  bool is_sound_ = false;     // the state is that of sound steps, as all ranks know: it may be saved though the run ends by an error
  std::string verified_;      // what checkpoints say of that check; the writer's counts
  std::string resumed_from_;  // the checkpoint; empty: none
  std::string rolled_back_to_;  // the checkpoint of the last time; empty: the start
  int64_t num_rollbacks_ = 0;   // to that one
  std::optional<MetricsFile> metrics_file_;  // of the writer
};

}  // namespace weft
