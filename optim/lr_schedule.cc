// The schedules and their parameters (see lr_schedule.h).
#include "optim/lr_schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "core/check.h"
#include "core/str_cat.h"

namespace weft {
namespace {

using Names = std::vector<std::string_view>;

const Names kTypeNames = {"constant",      "linear",         "cosine",   "WarmupLR",
                          "WarmupDecayLR", "WarmupCosineLR", "OneCycle", "LRRangeTest"};

// The parameters each type takes, in the order of SchedulerType.
const std::array<Names, 8> kParamsOfType = {{
    {"warmup_steps"},
    {"warmup_steps", "total_num_steps", "min_lr"},
    {"warmup_steps", "total_num_steps", "min_lr"},
    {"warmup_steps", "warmup_min_lr", "warmup_max_lr", "warmup_type"},
    {"warmup_steps", "warmup_min_lr", "warmup_max_lr", "warmup_type", "total_num_steps"},
    {"warmup_steps", "warmup_min_ratio", "cos_min_ratio", "warmup_type", "total_num_steps"},
    {"cycle_min_lr", "cycle_max_lr", "decay_lr_rate", "cycle_first_step_size", "cycle_second_step_size",
     "cycle_first_stair_count", "cycle_second_stair_count", "decay_step_size", "cycle_momentum"},
    {"lr_range_test_min_lr", "lr_range_test_step_size", "lr_range_test_step_rate", "lr_range_test_staircase"},
}};

// --- Defaults and checks ---------------------------------------------------------------------------------------------

// Sets the default where nothing is given, then demands low <= value <= high.
template <typename T>
void Resolve(std::string_view name, std::optional<T>& value, T otherwise, T low, T high, const SchedulerFailure& fail) {
  if (!value.has_value()) value = otherwise;
  if (*value >= low && *value <= high) return;
  fail(name, high < std::numeric_limits<T>::max()
                 ? StrCat("expected a number from ", low, " to ", high, ", got ", *value)
                 : StrCat("expected at least ", low, ", got ", *value));
}

constexpr int64_t kAnyCount = std::numeric_limits<int64_t>::max();
constexpr double kAnyRate = std::numeric_limits<double>::max();

void ResolveOurs(SchedulerConfig& config, double lr, int64_t steps, const SchedulerFailure& fail) {
  SchedulerParams& p = config.params;
  Resolve("warmup_steps", p.warmup_steps, int64_t{0}, int64_t{0}, kAnyCount, fail);
  if (config.type == SchedulerType::kConstant) return;
  Resolve("total_num_steps", p.total_num_steps, std::max({steps, *p.warmup_steps, int64_t{1}}), int64_t{1}, kAnyCount,
          fail);
  Resolve("min_lr", p.min_lr, 0.0, 0.0, lr, fail);
  if (*p.warmup_steps > *p.total_num_steps) {
    fail("warmup_steps", StrCat(*p.warmup_steps, " is more than total_num_steps, ", *p.total_num_steps));
  }
}

void ResolveWarmup(SchedulerConfig& config, double lr, int64_t steps, const SchedulerFailure& fail) {
  SchedulerParams& p = config.params;
  Resolve("warmup_steps", p.warmup_steps, int64_t{1000}, int64_t{1}, kAnyCount, fail);
  if (!p.warmup_type.has_value()) p.warmup_type = "log";
  if (*p.warmup_type != "log" && *p.warmup_type != "linear") {
    fail("warmup_type", StrCat("expected log or linear, got '", *p.warmup_type, "'"));
  }
  if (config.type != SchedulerType::kWarmupLr) {
    Resolve("total_num_steps", p.total_num_steps, std::max<int64_t>(steps, 1), int64_t{1}, kAnyCount, fail);
  }
  if (config.type == SchedulerType::kWarmupCosineLr) {
    Resolve("warmup_min_ratio", p.warmup_min_ratio, 0.0, 0.0, 1.0, fail);
    Resolve("cos_min_ratio", p.cos_min_ratio, 1e-4, 0.0, 1.0, fail);
  } else {
    Resolve("warmup_min_lr", p.warmup_min_lr, 0.0, 0.0, kAnyRate, fail);
    const bool is_constant_after = config.type == SchedulerType::kWarmupLr;
    Resolve("warmup_max_lr", p.warmup_max_lr, is_constant_after ? lr : 1e-3, 0.0, kAnyRate, fail);
  }
}

void ResolveOneCycle(SchedulerParams& p, const SchedulerFailure& fail) {
  if (!p.cycle_min_lr.has_value()) fail("cycle_min_lr", "not given; OneCycle needs it");
  if (!p.cycle_max_lr.has_value()) fail("cycle_max_lr", "not given; OneCycle needs it");
  Resolve("cycle_min_lr", p.cycle_min_lr, 0.0, 0.0, kAnyRate, fail);
  Resolve("cycle_max_lr", p.cycle_max_lr, 0.0, 0.0, kAnyRate, fail);
  Resolve("cycle_first_step_size", p.cycle_first_step_size, int64_t{2000}, int64_t{1}, kAnyCount, fail);
  Resolve("cycle_second_step_size", p.cycle_second_step_size, *p.cycle_first_step_size, int64_t{0}, kAnyCount, fail);
  Resolve("cycle_first_stair_count", p.cycle_first_stair_count, int64_t{0}, int64_t{0}, kAnyCount, fail);
  Resolve("cycle_second_stair_count", p.cycle_second_stair_count, *p.cycle_first_stair_count, int64_t{0}, kAnyCount,
          fail);
  Resolve("decay_step_size", p.decay_step_size, int64_t{0}, int64_t{0}, kAnyCount, fail);
  Resolve("decay_lr_rate", p.decay_lr_rate, 0.0, 0.0, kAnyRate, fail);
  if (p.cycle_momentum.value_or(true)) {
    fail("cycle_momentum",
         "is true unless written otherwise, and weft does not cycle beta1; write cycle_momentum: false");
  }
}

void ResolveRangeTest(SchedulerParams& p, const SchedulerFailure& fail) {
  Resolve("lr_range_test_min_lr", p.lr_range_test_min_lr, 1e-3, 0.0, kAnyRate, fail);
  Resolve("lr_range_test_step_size", p.lr_range_test_step_size, int64_t{2000}, int64_t{1}, kAnyCount, fail);
  Resolve("lr_range_test_step_rate", p.lr_range_test_step_rate, 1.0, 0.0, kAnyRate, fail);
  if (!p.lr_range_test_staircase.has_value()) p.lr_range_test_staircase = false;
}

// --- Formulas --------------------------------------------------------------------------------------------------------

double OurRate(const SchedulerConfig& config, double lr, int64_t step) {
  const SchedulerParams& p = config.params;
  const double warmup = static_cast<double>(*p.warmup_steps);
  if (step <= *p.warmup_steps) return lr * static_cast<double>(step) / warmup;
  if (config.type == SchedulerType::kConstant) return lr;
  if (step >= *p.total_num_steps) return *p.min_lr;
  const double progress = (static_cast<double>(step) - warmup) / (static_cast<double>(*p.total_num_steps) - warmup);
  const double height =
      config.type == SchedulerType::kLinear ? 1 - progress : (1 + std::cos(std::numbers::pi * progress)) / 2;
  return *p.min_lr + (lr - *p.min_lr) * height;
}

// 0 at iteration 0, 1 at iteration `warmup`.
double WarmupFraction(const SchedulerParams& p, double iteration, double warmup) {
  return *p.warmup_type == "log" ? std::log(iteration + 1) / std::log(warmup) : iteration / warmup;
}

double WarmupRate(const SchedulerConfig& config, double lr, double iteration) {
  const SchedulerParams& p = config.params;
  const double warmup = static_cast<double>(std::max<int64_t>(2, *p.warmup_steps));
  if (config.type == SchedulerType::kWarmupLr || config.type == SchedulerType::kWarmupDecayLr) {
    double height = 1;
    if (iteration < 0) {
      height = 0;
    } else if (iteration < warmup) {
      height = WarmupFraction(p, iteration, warmup);
    } else if (config.type == SchedulerType::kWarmupDecayLr) {
      const double total = static_cast<double>(*p.total_num_steps);
      height = std::max(0.0, (total - iteration) / std::max(1.0, total - warmup));
    }
    return *p.warmup_min_lr + (*p.warmup_max_lr - *p.warmup_min_lr) * height;
  }
  if (iteration < 0) return 0;
  if (iteration < warmup) return lr * std::lerp(*p.warmup_min_ratio, 1.0, WarmupFraction(p, iteration, warmup));
  const double decay_steps = std::max(1.0, static_cast<double>(*p.total_num_steps) - warmup);
  const double progress = std::min(1.0, (iteration - warmup + 1) / decay_steps);
  return lr * std::lerp(*p.cos_min_ratio, 1.0, (1 + std::cos(std::numbers::pi * progress)) / 2);
}

double OneCycleRate(const SchedulerParams& p, int64_t iteration) {
  const int64_t first = *p.cycle_first_step_size, second = *p.cycle_second_step_size, total = first + second;
  if (iteration < 0) return *p.cycle_min_lr;
  if (iteration >= total) {
    if (*p.decay_step_size == 0) return *p.cycle_min_lr;
    const double decays = static_cast<double>(iteration - total + 1) / static_cast<double>(*p.decay_step_size);
    return *p.cycle_min_lr / (1 + *p.decay_lr_rate * decays);
  }
  const int64_t position = (iteration + 1) % total;  // in the cycle
  const bool rises = position <= first;
  const double way = static_cast<double>(rises ? position : total - position);
  const double length = static_cast<double>(rises ? first : second);
  const double stairs = static_cast<double>(rises ? *p.cycle_first_stair_count : *p.cycle_second_stair_count);
  const double height = stairs > 0 ? std::floor(way * stairs / length) / stairs : way / length;
  return *p.cycle_min_lr + (*p.cycle_max_lr - *p.cycle_min_lr) * height;
}

double RangeTestRate(const SchedulerParams& p, int64_t iteration) {
  double intervals = static_cast<double>(iteration + 1) / static_cast<double>(*p.lr_range_test_step_size);
  if (*p.lr_range_test_staircase) intervals = std::floor(intervals);
  return *p.lr_range_test_min_lr * (1 + *p.lr_range_test_step_rate * intervals);
}

}  // namespace

void SchedulerParams::VisitFields(FieldVisitor& v) {
  v.Alias("warmup_num_steps", "warmup_steps");
  ForEach([&v](std::string_view name, auto& value, std::string_view help) { v.Field(name, value, help); });
  for (const std::string_view name : {"cycle_min_mom", "cycle_max_mom", "decay_mom_rate"}) {
    v.Ignored(name, "it goes with cycle_momentum");
  }
}

void SchedulerConfig::VisitFields(FieldVisitor& v) {
  v.Choice("type", type, kTypeNames, "how the learning rate changes; those in capitals are DeepSpeed's");
  v.Section("params", params, "settings of the scheduler");
}

void ResolveScheduler(SchedulerConfig& config, double lr, int64_t steps, const SchedulerFailure& fail) {
  const size_t type = static_cast<size_t>(config.type);
  const Names& taken = kParamsOfType[type];
  config.params.ForEach([&](std::string_view name, auto& value, std::string_view) {
    if (!value.has_value() || std::find(taken.begin(), taken.end(), name) != taken.end()) return;
    fail(name, StrCat("is not a parameter of ", kTypeNames[type]));
    value.reset();
  });
  switch (config.type) {
    case SchedulerType::kConstant:
    case SchedulerType::kLinear:
    case SchedulerType::kCosine:
      return ResolveOurs(config, lr, steps, fail);
    case SchedulerType::kWarmupLr:
    case SchedulerType::kWarmupDecayLr:
    case SchedulerType::kWarmupCosineLr:
      return ResolveWarmup(config, lr, steps, fail);
    case SchedulerType::kOneCycle:
      return ResolveOneCycle(config.params, fail);
    case SchedulerType::kLrRangeTest:
      return ResolveRangeTest(config.params, fail);
  }
}

double LearningRate(const SchedulerConfig& config, double lr, int64_t step) {
  WEFT_CHECK_GE(step, 1);
  const int64_t iteration = step - 2;  // of DeepSpeed's schedulers
  switch (config.type) {
    case SchedulerType::kConstant:
    case SchedulerType::kLinear:
    case SchedulerType::kCosine:
      return OurRate(config, lr, step);
    case SchedulerType::kWarmupLr:
    case SchedulerType::kWarmupDecayLr:
    case SchedulerType::kWarmupCosineLr:
      return WarmupRate(config, lr, static_cast<double>(iteration));
    case SchedulerType::kOneCycle:
      return OneCycleRate(config.params, iteration);
    case SchedulerType::kLrRangeTest:
      return RangeTestRate(config.params, iteration);
  }
  WEFT_CHECK(false) << "unknown scheduler";
  return 0;
}

}  // namespace weft
