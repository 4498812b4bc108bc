// Cycle-walking Feistel permutation on core/rng.
#include "data/sampler.h"

#include <bit>
#include <limits>
#include <numeric>

#include "core/check.h"
#include "core/rng.h"

namespace weft {
namespace {
constexpr int kRounds = 6;  // four make a pseudo-random permutation (Luby and Rackoff); small halves like some more

// The whole part of n * weight / total; weight <= total < 2^31.
int64_t ShareOf(int64_t n, int64_t weight, int64_t total) { return n / total * weight + n % total * weight / total; }
}  // namespace

int64_t PermutedIndex(uint64_t seed, int64_t epoch, int64_t n, int64_t index) {
  WEFT_CHECK(index >= 0 && index < n) << index << " of " << n;
  const int half_bits = (std::bit_width(static_cast<uint64_t>(n - 1)) + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  const Rng rng(seed, StreamKey("data.order") + static_cast<uint64_t>(epoch));
  uint64_t value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (rng.Bits((round << 48) | right) & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits) | right;
  } while (value >= static_cast<uint64_t>(n));
  return static_cast<int64_t>(value);
}

int64_t SequenceAt(uint64_t seed, int64_t num_sequences, int64_t sample) {
  return PermutedIndex(seed, sample / num_sequences, num_sequences, sample % num_sequences);
}

SourceSample SourceAt(absl::Span<const int64_t> weights, int64_t sample) {
  int64_t rest = std::accumulate(weights.begin(), weights.end(), int64_t{0});
  WEFT_CHECK(sample >= 0 && rest > 0 && rest <= std::numeric_limits<int32_t>::max()) << sample << ", " << rest;
  for (size_t source = 0; source + 1 < weights.size(); ++source) {
    const int64_t before = ShareOf(sample, weights[source], rest);
    if (ShareOf(sample + 1, weights[source], rest) > before) return {source, before};
    sample -= before;
    rest -= weights[source];
  }
  return {weights.size() - 1, sample};
}

}  // namespace weft
