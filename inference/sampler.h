// Sampling: which token follows, given its logits. A pure function of (options, logits, step), so a seed repeats a
// text.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "core/status.h"

namespace weft {

struct SamplingOptions {
  double temperature = 1;  // 0: the most likely token, the lowest id among equals
  double top_p = 1;        // keep the most likely tokens whose probabilities add up to at least this
  int64_t top_k = 0;       // keep this many; 0: all
  uint64_t seed = 0;
};

// Temperature in [0, 100], top_p in (0, 1], top_k not negative; else an error that names the option.
Status CheckSampling(const SamplingOptions& options);

// logits [V] f32; `step` counts the tokens sampled so far in this sequence.
int32_t SampleToken(const SamplingOptions& options, absl::Span<const float> logits, int64_t step);

}  // namespace weft
