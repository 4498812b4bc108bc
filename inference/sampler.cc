// Temperature, top-k and nucleus sampling (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020).
#include "inference/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/rng.h"

namespace weft {
namespace {

int32_t MostLikely(absl::Span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// The token ids to choose among: all in their own order where nothing is cut off, else the `count` first by falling
// logit, ties by id.
std::vector<int32_t> Candidates(const SamplingOptions& options, absl::Span<const float> logits) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const int64_t vocab = static_cast<int64_t>(logits.size());
  const int64_t count = options.top_k > 0 ? std::min(options.top_k, vocab) : vocab;
  if (count == vocab && options.top_p == 1) return ids;
  const auto before = [&](int32_t a, int32_t b) {
    const float of_a = logits[static_cast<size_t>(a)], of_b = logits[static_cast<size_t>(b)];
    return of_a != of_b ? of_a > of_b : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(), before);
  ids.resize(static_cast<size_t>(count));
  return ids;
}

// What is left of [0, sum) once the least likely are cut off: the shortest front whose share reaches top_p.
double Nucleus(double top_p, const std::vector<double>& cumulative) {
  const double sum = cumulative.back();
  return top_p < 1 ? *std::lower_bound(cumulative.begin(), cumulative.end(), top_p * sum) : sum;
}

}  // namespace

Status CheckSampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= 100)) {
    return UserError("temperature must be between 0 and 100, got ", options.temperature);
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return UserError("top_p must be above 0 and at most 1, got ", options.top_p);
  }
  if (options.top_k < 0) return UserError("top_k must not be negative, got ", options.top_k);
  return absl::OkStatus();
}

int32_t SampleToken(const SamplingOptions& options, absl::Span<const float> logits, int64_t step) {
  const int32_t most_likely = MostLikely(logits);
  if (options.temperature == 0) return most_likely;
  const double highest = logits[static_cast<size_t>(most_likely)];
  const std::vector<int32_t> ids = Candidates(options, logits);
  std::vector<double> cumulative;
  cumulative.reserve(ids.size());
  double sum = 0;
  for (int32_t id : ids) {
    sum += std::exp((logits[static_cast<size_t>(id)] - highest) / options.temperature);
    cumulative.push_back(sum);
  }
  const Rng rng(options.seed, StreamKey("sampler"));
  const double draw = rng.Uniform(static_cast<uint64_t>(step)) * Nucleus(options.top_p, cumulative);
  const auto chosen = std::upper_bound(cumulative.begin(), cumulative.end(), draw);
  return ids[std::min(static_cast<size_t>(chosen - cumulative.begin()), ids.size() - 1)];
}

}  // namespace weft
