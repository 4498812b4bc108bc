// The configuration of a training run: every section that `weft train CONFIG` reads, and what makes it whole.
//
// Names and places are DeepSpeed's where it has one (deepspeed.ai/docs/config-json), so its JSON files are read as they
// are; each of their keys is honoured, accepted with a notice because nothing here depends on it, or refused by name.
// Defaults that changed between DeepSpeed's versions are those of 0.19.6: gradient_clipping is 1.0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config_reader.h"
#include "core/fields.h"
#include "core/status.h"
#include "data/mixture.h"
#include "model/recompute.h"
#include "optim/lr_schedule.h"
#include "optim/optimizer_config.h"
#include "parallel/schedule.h"
#include "trainer/bad_step.h"
#include "trainer/model_section.h"

namespace weft {

enum class DeviceChoice { kAuto, kCpu, kCuda };
enum class Precision { kF32, kBf16, kFp16, kFp8 };  // what forward and backward compute in; masters are f32
enum class VerifyParallel { kAuto, kAlways, kNever };
enum class OffloadDevice { kNone, kCpu, kNvme };

struct DataSection {
  std::string path;                 // token store, as `weft data prepare` writes it
  std::vector<DataSource> sources;  // or several; one of the two is given
  int64_t sequence_length = 0;      // tokens
  std::vector<DataSource> AllSources() const;
  void VisitFields(FieldVisitor& v);
};

struct ParallelSection {
  int64_t pp = 1;  // pipeline stages
  int64_t tp = 1;  // ranks that share every matrix; dp is the number of ranks divided by pp * tp
  ScheduleType schedule = ScheduleType::k1F1B;
  int64_t interleave = 1;                 // virtual stages a rank; more than 1 with schedule: interleaved alone
  std::vector<int64_t> blocks_per_stage;  // one number a virtual stage; empty: as even as possible
  void VisitFields(FieldVisitor& v);
};

struct OffloadSection {
  OffloadDevice device = OffloadDevice::kNone;
  void VisitFields(FieldVisitor& v);
};

struct ZeroSection {
  int64_t stage = 0;  // 0: nothing is sharded; 1: optimizer states; 2: and gradients; 3: and weights
  Reshard reshard = Reshard::kPerMicroBatch;  // stage 3: how long gathered weights stay
  int64_t prefetch = 1;                       // compute actions by which gathers go ahead of their use
  OffloadSection offload_optimizer;
  OffloadSection offload_param;
  std::optional<bool> cpu_offload;        // DeepSpeed's old spelling of offload_optimizer.device: cpu
  std::optional<bool> cpu_offload_param;  // and of offload_param.device: cpu; both become those once resolved
  void VisitFields(FieldVisitor& v);
};

enum class OnSaveFailure { kContinue, kStop };

struct CheckpointSection {
  int64_t every = 0;            // steps; 0: at the end only
  bool asynchronous = true;     // of saves that are not the run's last: written while it trains on
  int64_t keep = 2;             // newest complete checkpoints that stay; 0: all
  int64_t keep_best = 0;        // stay besides, by validation loss
  OnSaveFailure on_failure = OnSaveFailure::kContinue;  // of a save that is not the run's last
  std::string resume = "auto";  // auto, never, or the path of a run or a checkpoint
  void VisitFields(FieldVisitor& v);
};

struct EvalSection {
  int64_t every = 0;    // steps; 0: at the end only
  int64_t batches = 0;  // global batches of each source's validation split; 0: all of it
  void VisitFields(FieldVisitor& v);
};

struct LoggingSection {
  int64_t every = 1;  // steps between lines; metrics.jsonl has every step
  void VisitFields(FieldVisitor& v);
};

struct WatchdogSection {
  std::optional<double> timeout;  // s without progress that are a stall; 0: no watchdog; unset: follows the steps
  void VisitFields(FieldVisitor& v);
};

struct Bf16Section {
  std::optional<bool> enabled;
  void VisitFields(FieldVisitor& v);
};

struct Fp16Section {
  std::optional<bool> enabled;
  double loss_scale = 0;  // 0: dynamic
  int64_t initial_scale_power = 16;
  int64_t loss_scale_window = 1000;
  int64_t hysteresis = 2;
  bool consecutive_hysteresis = false;
  double min_loss_scale = 1;
  void VisitFields(FieldVisitor& v);
};

// DeepSpeed's section. Its presence asks for recompute: block (in DeepSpeed the model decides).
struct ActivationCheckpointingSection {
  void VisitFields(FieldVisitor& v);
};

struct RunConfig {
  std::string output;  // the run's folder
  int64_t seed = 42;
  int64_t steps = 0;  // the total; steps count from 1
  DeviceChoice device = DeviceChoice::kAuto;
  Precision precision = Precision::kF32;
  int64_t threads = 0;  // of one rank's CPU kernels; 0: the cores of this host divided among its ranks

  ModelSection model;
  DataSection data;

  std::optional<int64_t> train_batch_size;                // sequences a step over all ranks
  std::optional<int64_t> train_micro_batch_size_per_gpu;  // sequences of one forward and backward on a replica
  std::optional<int64_t> gradient_accumulation_steps;     // micro-batches a step; all three are set once resolved

  OptimizerConfig optimizer;
  SchedulerConfig scheduler;
  double gradient_clipping = 1.0;  // global L2 norm; 0: none

  ParallelSection parallel;
  ZeroSection zero_optimization;
  Recompute recompute = Recompute::kNone;
  VerifyParallel verify_parallel = VerifyParallel::kAuto;  // the check of trainer/layout_check.h
  CheckpointSection checkpoint;
  BadStepSection bad_step;
  EvalSection eval;
  LoggingSection logging;
  WatchdogSection watchdog;

  // DeepSpeed's ways to say what stands above; once resolved, `precision`, `recompute` and `logging.every` hold it.
  Bf16Section bf16;
  Fp16Section fp16;
  std::optional<ActivationCheckpointingSection> activation_checkpointing;
  std::optional<int64_t> steps_per_print;

  void VisitFields(FieldVisitor& v);
};

// Reads the sources, then resolves. The report holds the notices to print and where each key was written.
StatusOr<ConfigReport> ReadRunConfig(const ConfigSources& sources, int64_t world_size, RunConfig& config);

// Checks every value and fills in what follows from others: batch sizes for `world_size` ranks, precision, recompute,
// scheduler defaults. All mistakes at once, with the places of `report`; its notices are added to.
Status ResolveRunConfig(RunConfig& config, int64_t world_size, ConfigReport& report);

// An error that names each setting which is valid but not built yet, and what to write instead.
Status RefuseUnbuilt(const RunConfig& config, const ConfigReport& report);

}  // namespace weft
