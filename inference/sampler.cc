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

// Token ids by falling logit, ties by id; at most `count`.
std::vector<int32_t> Ranked(absl::Span<const float> logits, int64_t count) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] != logits[static_cast<size_t>(b)] ? logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)] : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(), before);
  ids.resize(static_cast<size_t>(count));
  return ids;
}

}  // namespace

Status CheckSampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= 100)) return UserError("temperature must be between 0 and 100, got ", options.temperature);
  if (!(options.top_p > 0 && options.top_p <= 1)) return UserError("top_p must be above 0 and at most 1, got ", options.top_p);
  if (options.top_k < 0) return UserError("top_k must not be negative, got ", options.top_k);
  return absl::OkStatus();
}

int32_t SampleToken(const SamplingOptions& options, absl::Span<const float> logits, int64_t step) {
  if (options.temperature == 0) return MostLikely(logits);
  const int64_t vocab = static_cast<int64_t>(logits.size());
  const std::vector<int32_t> ids = Ranked(logits, options.top_k > 0 ? std::min(options.top_k, vocab) : vocab);
  const double highest = logits[static_cast<size_t>(ids[0])];
  std::vector<double> cumulative;
  double sum = 0;
  for (int32_t id : ids) {
    sum += std::exp((logits[static_cast<size_t>(id)] - highest) / options.temperature);
    cumulative.push_back(sum);
  }
  // The nucleus: the shortest front whose share reaches top_p.
  const double nucleus = options.top_p < 1 ? *std::lower_bound(cumulative.begin(), cumulative.end(), options.top_p * sum) : sum;
  const Rng rng(options.seed, StreamKey("sampler"));
  const double draw = rng.Uniform(static_cast<uint64_t>(step)) * nucleus;
  const auto chosen = std::upper_bound(cumulative.begin(), cumulative.end(), draw);
  return ids[std::min(static_cast<size_t>(chosen - cumulative.begin()), ids.size() - 1)];
}

}  // namespace weft
