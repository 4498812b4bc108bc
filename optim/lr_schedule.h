// The learning rate as a pure function of the step: our constant, linear and cosine with warm-up, and DeepSpeed's
// schedulers, step for step.
//
// With W warm-up steps of T in all and steps counting from 1, ours are: lr s / W up to step W; then lr (constant), a
// straight line (linear) or half a cosine wave (cosine; Loshchilov and Hutter, "SGDR", 2017) from lr at step W to
// min_lr at step T and after. DeepSpeed's follow deepspeed/runtime/lr_schedules.py: its scheduler advances once after
// each step, from -1, so step s uses its iteration s - 2; hence its warm-ups run the first two steps at the lowest
// rate.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/fields.h"

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

// Which of these a type takes is a table in lr_schedule.cc; giving another one is an error.
struct SchedulerParams {
  std::optional<int64_t> warmup_steps;
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

  // Calls f(name, value, help) for each.
  template <typename Function>
  void ForEach(Function f) {
    f("warmup_steps", warmup_steps, "steps of warm-up; DeepSpeed's name, warmup_num_steps, is read too");
    f("total_num_steps", total_num_steps, "steps until the lowest rate is reached; default: steps");
    f("min_lr", min_lr, "linear, cosine: learning rate at the end");
    f("warmup_min_lr", warmup_min_lr, "WarmupLR, WarmupDecayLR: learning rate of the first two steps");
    f("warmup_max_lr", warmup_max_lr, "learning rate after warm-up; default: lr in WarmupLR, 0.001 in WarmupDecayLR");
    f("warmup_min_ratio", warmup_min_ratio, "WarmupCosineLR: learning rate of the second step, as a part of lr");
    f("cos_min_ratio", cos_min_ratio, "WarmupCosineLR: learning rate at the end, as a part of lr; default 1e-4");
    f("warmup_type", warmup_type, "WarmupLR, WarmupDecayLR, WarmupCosineLR: log (default) or linear");
    f("cycle_min_lr", cycle_min_lr, "OneCycle: learning rate at both ends of the cycle");
    f("cycle_max_lr", cycle_max_lr, "OneCycle: learning rate at the top of the cycle");
    f("decay_lr_rate", decay_lr_rate, "OneCycle: decay after the cycle, per decay_step_size steps");
    f("cycle_first_step_size", cycle_first_step_size, "OneCycle: steps of the rising half; default 2000");
    f("cycle_second_step_size", cycle_second_step_size, "OneCycle: steps of the falling half; default: as the first");
    f("cycle_first_stair_count", cycle_first_stair_count, "OneCycle: stairs of the rising half; 0: a straight line");
    f("cycle_second_stair_count", cycle_second_stair_count,
      "OneCycle: stairs of the falling half; default: as the first");
    f("decay_step_size", decay_step_size, "OneCycle: steps between decays after the cycle; 0: no decay");
    f("cycle_momentum", cycle_momentum, "OneCycle: must be written as false; weft does not cycle beta1");
    f("lr_range_test_min_lr", lr_range_test_min_lr, "LRRangeTest: learning rate of the first step; default 1e-3");
    f("lr_range_test_step_size", lr_range_test_step_size, "LRRangeTest: steps of one interval; default 2000");
    f("lr_range_test_step_rate", lr_range_test_step_rate, "LRRangeTest: increase per interval; default 1");
    f("lr_range_test_staircase", lr_range_test_staircase, "LRRangeTest: increase at the ends of intervals only");
  }

  void VisitFields(FieldVisitor& v);
};

struct SchedulerConfig {
  SchedulerType type = SchedulerType::kConstant;
  SchedulerParams params;

  void VisitFields(FieldVisitor& v);
};

// Fills in the defaults of the type's parameters. Reports each one that is missing, out of range or of another type
// through `fail`, with its name below scheduler.params. `lr` is optimizer.params.lr, `steps` the run's total.
using SchedulerFailure = std::function<void(std::string_view param, std::string_view message)>;
void ResolveScheduler(SchedulerConfig& config, double lr, int64_t steps, const SchedulerFailure& fail);

// The learning rate of `step`, from 1, under a resolved config; `lr` is optimizer.params.lr.
double LearningRate(const SchedulerConfig& config, double lr, int64_t step);

}  // namespace weft
