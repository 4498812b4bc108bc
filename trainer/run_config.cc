// What makes a run's configuration whole: checks, and what follows from other keys (see run_config.h).
#include "trainer/run_config.h"

#include <utility>
#include <vector>

#include "trainer/batch_size.h"

namespace weft {
namespace {

constexpr int64_t kMostThreads = 4096;        // of a rank
constexpr int64_t kMostMicroBatches = 1 << 20;  // of a step: its plan is a list of actions
constexpr size_t kMostSources = 1000;
constexpr int64_t kMostWeight = 1000000;  // the sum of all fits 31 bits
constexpr int64_t kMostWindow = 1 << 16;      // of losses in a checkpoint
constexpr int64_t kMostPrefetch = 1024;  // groups
constexpr int64_t kMostTokens = (int64_t{1} << 31) - 1;  // of a micro-batch: positions are i32

// Collects mistakes, each with its key and the place where that was written.
class Checker {
 public:
  explicit Checker(const ConfigReport& report) : report_(report) {}

  void Fail(const std::string& key, std::string_view message) {
    errors_.push_back(ConfigError{report_.PlaceOf(key), StrCat(key, ": ", message)});
  }
  template <typename T>
  void Require(bool is_fine, const std::string& key, std::string_view expected, const T& got) {
    if (!is_fine) Fail(key, StrCat("expected ", expected, ", got ", got));
  }
  // " (tiny.yaml:3)", for the other key of a contradiction.
  std::string In(const std::string& key) const {
    return report_.Has(key) ? StrCat(" (", report_.PlaceOf(key).ToString(), ")") : "";
  }

  // Given on the command line: by somebody who means it, whatever a file says.
  bool IsOverride(const std::string& key) const { return report_.Has(key) && report_.PlaceOf(key).line == 0; }

  const ConfigReport& report() const { return report_; }
  Status Finish() { return AsStatus(std::move(errors_)); }

 private:
  const ConfigReport& report_;
  std::vector<ConfigError> errors_;
};

// A missing key and a value out of range read differently.
void RequirePositive(Checker& check, const std::string& key, int64_t value) {
  if (check.report().Has(key)) {
    check.Require(value > 0, key, "a positive number", value);
  } else if (value <= 0) {
    check.Fail(key, "not given; a positive number is needed");
  }
}

void CheckParallel(const ParallelSection& p, Checker& check) {
  const bool is_interleaved = p.schedule == ScheduleType::kInterleaved;
  check.Require(p.pp > 0, "parallel.pp", "a positive number", p.pp);
  check.Require(p.tp > 0, "parallel.tp", "a positive number", p.tp);
  check.Require(p.interleave > 0, "parallel.interleave", "a positive number", p.interleave);
  if (p.interleave > 1 && !is_interleaved) {
    check.Fail("parallel.interleave", StrCat(p.interleave, " virtual stages a rank need parallel.schedule: interleaved",
                                             check.In("parallel.schedule")));
  }
  if (is_interleaved && p.pp > 1 && p.interleave == 1) {
    check.Fail("parallel.schedule", "interleaved needs parallel.interleave of 2 or more (virtual stages a rank); with 1 it is 1f1b");
  }
  if (is_interleaved && p.pp == 1) check.Fail("parallel.schedule", "interleaved needs parallel.pp of 2 or more");
  const int64_t stages = p.pp * p.interleave;
  const auto given = static_cast<int64_t>(p.blocks_per_stage.size());
  if (given > 0 && given != stages) {
    check.Fail("parallel.blocks_per_stage", StrCat("has ", given, " numbers; pp ", p.pp, " * interleave ", p.interleave,
                                                   " makes ", stages, " stages"));
  }
  for (const int64_t blocks : p.blocks_per_stage) {
    check.Require(blocks >= 0, "parallel.blocks_per_stage", "numbers of 0 or more", blocks);
  }
}

void CheckSources(const DataSection& data, Checker& check) {
  if (data.path.empty() && data.sources.empty()) {
    check.Fail("data.path", "not given; name a token store written by `weft data prepare`, or several in data.sources");
  }
  if (!data.path.empty() && !data.sources.empty()) {
    check.Fail("data.path", StrCat("is given, and data.sources too", check.In("data.sources"), "; keep one of the two"));
  }
  check.Require(data.sources.size() <= kMostSources, "data.sources", StrCat("at most ", kMostSources), data.sources.size());
  for (size_t i = 0; i < data.sources.size(); ++i) {
    const std::string prefix = StrCat("data.sources.", i, ".");
    const int64_t weight = data.sources[i].weight;
    if (data.sources[i].path.empty()) check.Fail(prefix + "path", "not given; name a token store written by `weft data prepare`");
    check.Require(weight > 0 && weight <= kMostWeight, prefix + "weight", StrCat("a number from 1 to ", kMostWeight), weight);
  }
}

void CheckBadStep(const RunConfig& c, Checker& check) {
  const BadStepSection& b = c.bad_step;
  check.Require(b.spike_factor == 0 || b.spike_factor > 1, "bad_step.spike_factor", "0 or more than 1", b.spike_factor);
  check.Require(b.window > 0 && b.window <= kMostWindow, "bad_step.window", StrCat("a number from 1 to ", kMostWindow), b.window);
  check.Require(b.limit > 0, "bad_step.limit", "a positive number", b.limit);
  if (b.action == OnBadStep::kRollBack && c.checkpoint.every == 0) {
    check.Fail("bad_step.action", "roll_back goes back to the newest checkpoint, and checkpoint.every is 0: there is none before the "
                                  "end, and one bad step would undo the whole run; set checkpoint.every, or another action");
  }
}

void CheckTop(const RunConfig& c, Checker& check) {
  if (c.output.empty()) check.Fail("output", "not given; name the folder of the run");
  CheckSources(c.data, check);
  RequirePositive(check, "steps", c.steps);
  RequirePositive(check, "data.sequence_length", c.data.sequence_length);
  check.Require(c.seed >= 0, "seed", "0 or more", c.seed);
  check.Require(c.threads >= 0 && c.threads <= kMostThreads, "threads", StrCat("a number from 0 to ", kMostThreads),
                c.threads);
  check.Require(c.gradient_clipping >= 0, "gradient_clipping", "0 or more", c.gradient_clipping);
  check.Require(c.checkpoint.every >= 0, "checkpoint.every", "0 or more", c.checkpoint.every);
  check.Require(c.checkpoint.keep >= 0, "checkpoint.keep", "0 or more", c.checkpoint.keep);
  check.Require(c.checkpoint.keep_best >= 0, "checkpoint.keep_best", "0 or more", c.checkpoint.keep_best);
  const bool all_evaluated = c.eval.every > 0 && c.checkpoint.every % c.eval.every == 0;
  if (c.checkpoint.keep_best > 0 && c.checkpoint.every > 0 && !all_evaluated) {
    check.Fail("checkpoint.keep_best", StrCat("asks for a validation loss at every checkpoint: checkpoint.every (",
                                              c.checkpoint.every, ") must be a multiple of eval.every (", c.eval.every, ")"));
  }
  if (c.checkpoint.resume.empty()) check.Fail("checkpoint.resume", "expected auto, never or a path, got nothing");
  check.Require(c.eval.every >= 0, "eval.every", "0 or more", c.eval.every);
  check.Require(c.eval.batches >= 0, "eval.batches", "0 or more", c.eval.batches);
  check.Require(c.watchdog.timeout.value_or(0) >= 0, "watchdog.timeout", "0 or more seconds", c.watchdog.timeout.value_or(0));
  check.Require(c.zero_optimization.stage >= 0 && c.zero_optimization.stage <= 3, "zero_optimization.stage",
                "0, 1, 2 or 3", c.zero_optimization.stage);
  check.Require(c.zero_optimization.prefetch >= 0 && c.zero_optimization.prefetch <= kMostPrefetch,
                "zero_optimization.prefetch", StrCat("a number from 0 to ", kMostPrefetch), c.zero_optimization.prefetch);
  CheckBadStep(c, check);
  CheckParallel(c.parallel, check);
}

void CheckOptimizer(const OptimizerParams& p, Checker& check) {
  const std::string prefix = "optimizer.params.";
  if (check.report().autos.contains(prefix + "lr")) {
    check.Fail(prefix + "lr",
               "auto asks for a value from elsewhere, and none is there; give it in CONFIG or with --set");
  }
  check.Require(p.lr > 0, prefix + "lr", "a positive number", p.lr);
  check.Require(p.betas.size() == 2, prefix + "betas", "two numbers", StrCat(p.betas.size()));
  for (const double beta : p.betas) check.Require(beta >= 0 && beta < 1, prefix + "betas", "numbers in [0, 1)", beta);
  check.Require(p.eps > 0, prefix + "eps", "a positive number", p.eps);
  check.Require(p.weight_decay >= 0, prefix + "weight_decay", "0 or more", p.weight_decay);
}

// DeepSpeed's "auto" is what Hugging Face's Trainer fills in; this does the same for the keys where it follows from
// ours.
void ResolveSchedule(RunConfig& c, Checker& check) {
  const double lr = c.optimizer.params.lr;
  const std::string prefix = "scheduler.params.";
  if (check.report().autos.contains(prefix + "warmup_max_lr")) c.scheduler.params.warmup_max_lr = lr;
  if (check.report().autos.contains(prefix + "warmup_steps")) {
    check.Fail(prefix + "warmup_num_steps",
               "auto asks for a value from elsewhere, and none is there; give it in CONFIG or with --set");
  }
  ResolveScheduler(c.scheduler, lr, c.steps, [&](std::string_view param, std::string_view message) {
    check.Fail(StrCat(prefix, param), message);
  });
}

// DeepSpeed's schedulers that bring rates of their own do not look at the optimizer's. Of a file that has both, theirs is
// meant; but one that was just given with --set would be lost.
void CheckRateCounts(const RunConfig& c, Checker& check, std::vector<std::string>& notices) {
  const std::string lr_key = "optimizer.params.lr";
  const SchedulerParams& p = c.scheduler.params;
  std::string key = "scheduler.params.";
  std::optional<double> rate;
  switch (c.scheduler.type) {
    case SchedulerType::kWarmupLr:
    case SchedulerType::kWarmupDecayLr:
      key += "warmup_max_lr";
      rate = p.warmup_max_lr;
      break;
    case SchedulerType::kOneCycle:
      key += "cycle_max_lr";
      rate = p.cycle_max_lr;
      break;
    case SchedulerType::kLrRangeTest:
      key += "lr_range_test_min_lr";
      rate = p.lr_range_test_min_lr;
      break;
    default:
      return;
  }
  if (!check.report().Has(lr_key) || rate.value_or(c.optimizer.params.lr) == c.optimizer.params.lr) return;
  const std::string why = StrCat("counts for nothing: the scheduler's rate is ", key, check.In(key), ", ", *rate);
  if (check.IsOverride(lr_key) && !check.IsOverride(key)) {
    check.Fail(lr_key, StrCat(why, "; --set that instead"));
  } else {
    notices.push_back(StrCat(check.report().PlaceOf(lr_key).ToString(), ": ", lr_key, ": ", why));
  }
}

// `key` asks for `choice` by a name of DeepSpeed's. A different choice of our own name is a contradiction.
template <typename T>
void Settle(Checker& check, const std::string& ours, T& value, T choice, const std::string& theirs) {
  if (check.report().Has(ours) && value != choice) {
    const bool can_be_taken_back = check.IsOverride(ours) && !check.IsOverride(theirs);
    check.Fail(ours, StrCat("contradicts ", theirs, check.In(theirs), "; keep one of the two",
                            can_be_taken_back ? StrCat(" (--set ", theirs, "=null takes the other back)") : ""));
  }
  value = choice;
}

void ResolvePrecision(RunConfig& c, Checker& check) {
  const bool bf16 = c.bf16.enabled.value_or(false), fp16 = c.fp16.enabled.value_or(false);
  if (bf16 && fp16) {
    check.Fail("fp16.enabled", StrCat("contradicts bf16.enabled", check.In("bf16.enabled"), "; keep one of the two"));
  } else if (fp16) {
    Settle(check, "precision", c.precision, Precision::kFp16, "fp16.enabled");
  } else if (bf16 && c.precision != Precision::kFp8) {  // FP8 is bf16 with some of its products in 8 bits
    Settle(check, "precision", c.precision, Precision::kBf16, "bf16.enabled");
  }
  const bool is_bf16_off = c.bf16.enabled.has_value() && !bf16, is_fp16_off = c.fp16.enabled.has_value() && !fp16;
  if ((c.precision == Precision::kBf16 && is_bf16_off) || (c.precision == Precision::kFp16 && is_fp16_off)) {
    const std::string off = c.precision == Precision::kBf16 ? "bf16.enabled" : "fp16.enabled";
    check.Fail("precision", StrCat("contradicts ", off, ": false", check.In(off), "; keep one of the two"));
  }
}

void ResolveOffload(std::optional<bool>& flag, const std::string& flag_key, OffloadDevice& device,
                    const std::string& device_key, Checker& check) {
  if (flag.value_or(false)) Settle(check, device_key, device, OffloadDevice::kCpu, flag_key);
  flag.reset();
}

void ResolveDeepSpeedSpellings(RunConfig& c, Checker& check) {
  ResolvePrecision(c, check);
  ZeroSection& zero = c.zero_optimization;
  ResolveOffload(zero.cpu_offload, "zero_optimization.cpu_offload", zero.offload_optimizer.device,
                 "zero_optimization.offload_optimizer.device", check);
  ResolveOffload(zero.cpu_offload_param, "zero_optimization.cpu_offload_param", zero.offload_param.device,
                 "zero_optimization.offload_param.device", check);
  if (c.activation_checkpointing.has_value() && c.recompute != Recompute::kAttention) {
    Settle(check, "recompute", c.recompute, Recompute::kBlock, "activation_checkpointing");
  }
  if (c.steps_per_print.has_value()) {
    Settle(check, "logging.every", c.logging.every, *c.steps_per_print, "steps_per_print");
  }
  const std::string logging_key = c.steps_per_print.has_value() ? "steps_per_print" : "logging.every";
  check.Require(c.logging.every > 0, logging_key, "a positive number", c.logging.every);
}

void CheckBatchIsCountable(const RunConfig& c, Checker& check) {
  const int64_t micro = *c.train_micro_batch_size_per_gpu, length = c.data.sequence_length;
  if (length > 0 && micro > kMostTokens / length) {
    check.Fail("train_micro_batch_size_per_gpu",
               StrCat(micro, " sequences of ", length, " tokens are more than the ", kMostTokens, " of a micro-batch"));
  }
  check.Require(*c.gradient_accumulation_steps <= kMostMicroBatches, "gradient_accumulation_steps",
                StrCat("at most ", kMostMicroBatches), *c.gradient_accumulation_steps);
}

void ResolveBatch(RunConfig& c, int64_t world_size, Checker& check) {
  const int64_t pp = c.parallel.pp, tp = c.parallel.tp;
  if (pp <= 0 || tp <= 0) return;  // said already
  int64_t ranks;
  if (__builtin_mul_overflow(pp, tp, &ranks) || world_size % ranks != 0) {
    check.Fail("parallel", StrCat("pp ", pp, " * tp ", tp, " does not divide the number of ranks, ", world_size));
    return;
  }
  const BatchSize given = {c.train_batch_size, c.train_micro_batch_size_per_gpu, c.gradient_accumulation_steps};
  const StatusOr<BatchSize> whole = ResolveBatchSize(given, world_size / ranks);
  if (!whole.ok()) {
    const std::string message(whole.status().message());
    const size_t colon = message.find(": ");  // it begins with the key
    check.Fail(message.substr(0, colon), message.substr(colon + 2));
    return;
  }
  c.train_batch_size = whole->train_batch_size;
  c.train_micro_batch_size_per_gpu = whole->train_micro_batch_size_per_gpu;
  c.gradient_accumulation_steps = whole->gradient_accumulation_steps;
  CheckBatchIsCountable(c, check);
}

// A model's folder brings its own shape; one that stands beside it (a file's, under --set model.path) has no part.
void NoticeUnusedShape(const ModelSection& model, ConfigReport& report) {
  if (model.path.empty()) return;
  const auto first = report.places.upper_bound("model.");
  for (auto it = first; it != report.places.end() && it->first.starts_with("model."); ++it) {
    if (it->first == "model.path") continue;
    report.notices.push_back(StrCat(it->second.ToString(), ": the shape is that of ", model.path,
                                    "; the other keys of the section model are not used"));
    return;
  }
}

}  // namespace

std::vector<DataSource> DataSection::AllSources() const {
  return path.empty() ? sources : std::vector<DataSource>{{.path = path, .weight = 1}};
}

Status ResolveRunConfig(RunConfig& config, int64_t world_size, ConfigReport& report) {
  Checker check(report);
  CheckTop(config, check);
  CheckOptimizer(config.optimizer.params, check);
  ResolveSchedule(config, check);
  CheckRateCounts(config, check, report.notices);
  ResolveDeepSpeedSpellings(config, check);
  ResolveBatch(config, world_size, check);
  ResolveModelSection(config.model, config.data.sequence_length,
                      [&](std::string_view key, std::string_view message) { check.Fail(std::string(key), message); });
  WEFT_RETURN_IF_ERROR(check.Finish());
  NoticeUnusedShape(config.model, report);
  if (config.activation_checkpointing.has_value() && !report.Has("recompute")) {
    report.notices.push_back(StrCat(report.PlaceOf("activation_checkpointing").ToString(),
                                    ": activation_checkpointing: taken as recompute: block"));
  }
  return absl::OkStatus();
}

StatusOr<ConfigReport> ReadRunConfig(const ConfigSources& sources, int64_t world_size, RunConfig& config) {
  WEFT_ASSIGN_OR_RETURN(ConfigReport report, ReadConfig(sources, config));
  WEFT_RETURN_IF_ERROR(ResolveRunConfig(config, world_size, report));
  if (!sources.deepspeed_path.empty() && !report.Has("gradient_clipping")) {
    report.notices.push_back(StrCat(sources.deepspeed_path, ": gradient_clipping: not given; ",
                                    config.gradient_clipping,
                                    " is taken, as DeepSpeed does since June 2026 (0.0, no clipping, before)"));
  }
  return report;
}

Status RefuseUnbuilt(const RunConfig& c, const ConfigReport& report) {
  Checker check(report);
  const auto refuse = [&check](bool is_asked, const std::string& key, std::string_view instead) {
    if (is_asked) check.Fail(key, StrCat("not built yet; write ", instead));
  };
  refuse(c.zero_optimization.offload_optimizer.device == OffloadDevice::kNvme,
         "zero_optimization.offload_optimizer.device", "cpu or none");
  refuse(c.zero_optimization.offload_param.device != OffloadDevice::kNone, "zero_optimization.offload_param.device",
         "none");
  refuse(c.precision == Precision::kFp16 || c.precision == Precision::kFp8,
         c.fp16.enabled.value_or(false) ? "fp16.enabled" : "precision",
         c.fp16.enabled.value_or(false) ? "false, and precision: bf16 or f32" : "bf16 or f32");
  return check.Finish();
}

}  // namespace weft
