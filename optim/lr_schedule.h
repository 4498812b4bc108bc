// The learning rate as a pure function of the step: our constant, linear and cosine with warm-up, and DeepSpeed's
// schedulers, step for step.
//
// With W warm-up steps of T in all and steps counting from 1, ours are: lr s / W up to step W; then lr (constant), a
// straight line (linear) or half a cosine wave (cosine; Loshchilov and Hutter, "SGDR", 2017) from lr at step W to min_lr
// at step T and after. DeepSpeed's follow deepspeed/runtime/lr_schedules.py: its scheduler advances once after each step,
// from -1, so step s uses its iteration s - 2; hence its warm-ups run the first two steps at the lowest rate.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/fields.h"
#include "core/status.h"

namespace weft {

enum class SchedulerType {
  kConstant,
  kLinear,
  kCosine,
  kWarmupLr,
  kWarmupDecayLr,
  kWarmupCosineLr,
  kOneCycle,
  kLrRangeTest,
};

enum class WarmupType { kLog, kLinear };

// Which of these a type takes, and with which default, is a table in lr_schedule.cc; giving another one is an error.
struct SchedulerParams {
  std::optional<int64_t> warmup_steps;     // DeepSpeed: warmup_num_steps
  std::optional<int64_t> total_num_steps;
  std::optional<double> min_lr;
  std::optional<double> warmup_min_lr;
  std::optional<double> warmup_max_lr;
  std::optional<double> warmup_min_ratio;
  std::optional<double> cos_min_ratio;
  std::optional<std::string> warmup_type;
  std::optional<double> cycle_min_lr;
  std::optional<double> cycle_max_lr;
  std::optional<double> decay_lr_rate;
  std::optional<int64_t> cycle_first_step_size;
  std::optional<int64_t> cycle_second_step_size;
  std::optional<int64_t> cycle_first_stair_count;
  std::optional<int64_t> cycle_second_stair_count;
  std::optional<int64_t> decay_step_size;
  std::optional<bool> cycle_momentum;
  std::optional<double> lr_range_test_min_lr;
  std::optional<int64_t> lr_range_test_step_size;
  std::optional<double> lr_range_test_step_rate;
  std::optional<bool> lr_range_test_staircase;

  void VisitFields(FieldVisitor& v);
};

struct SchedulerConfig {
  SchedulerType type = SchedulerType::kConstant;
  SchedulerParams params;

  void VisitFields(FieldVisitor& v);
};

// Fills in the defaults of the type's parameters. Reports each one that is missing, out of range or of another type
// through `fail`, with its name below scheduler.params. `steps` is the run's total.
using SchedulerFailure = std::function<void(std::string_view param, std::string message)>;
void ResolveScheduler(SchedulerConfig& config, double lr, int64_t steps, const SchedulerFailure& fail);

// The learning rate of `step`, from 1, under a resolved config; `lr` is optimizer.params.lr.
double LearningRate(const SchedulerConfig& config, double lr, int64_t step);

}  // namespace weft
