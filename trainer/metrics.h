// What a step reports: one line for people, one JSON object in metrics.jsonl.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/status.h"

namespace weft {

struct StepMetrics {
  int64_t step = 0;          // from 1
  double loss = 0;           // mean over the global batch's unmasked tokens
  double grad_norm = 0;      // before clipping
  double lr = 0;
  int64_t tokens = 0;        // of the global batch, padding included: what the hardware worked on
  double tokens_per_s = 0;
  double step_ms = 0;
  double memory_bytes = 0;   // peak of this rank: resident set on the CPU, device memory on CUDA
  std::optional<double> eval_loss;  // on the validation splits, after this step
  std::vector<double> eval_loss_by_source = {};  // in the order of data.sources; empty where there is one source
  std::string why_bad = {};  // the step is bad (bad_step.h), and why; not in the file
  bool skipped = false;  // the step was bad and did not change the weights
};

// "step  12/100  loss 3.4567  grad 1.23  lr 3.00e-04  12,345 tok/s  123 ms  1.2 GiB  1 min 20 s left".
std::string FormatStep(const StepMetrics& metrics, int64_t total_steps, double seconds_left);

// RUN/metrics.jsonl: opened once, truncated to the steps that a resumed run keeps, then appended to.
class MetricsFile {
 public:
  // Keeps the lines of steps up to `last_step`. A file with damaged lines is set aside whole (PATH.damaged-N) with a warning;
  // what can be read of it is kept.
  static StatusOr<MetricsFile> Open(const std::string& path, int64_t last_step);
  MetricsFile(MetricsFile&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  ~MetricsFile();
  Status Append(const StepMetrics& metrics);

 private:
  explicit MetricsFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// The steps in a metrics.jsonl.
StatusOr<std::vector<StepMetrics>> ReadMetrics(const std::string& path);
// The validation losses in it, by step.
StatusOr<std::map<int64_t, double>> ReadValidationLosses(const std::string& path);

}  // namespace weft
