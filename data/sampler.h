// Sampler: which sequence the i-th sample of a run is. A pure function of (seed, i), so a resumed run has nothing to
// restore, and the order does not depend on the mesh.
//
// Every epoch is another permutation of all sequences: a balanced Feistel network over the next even power of two,
// walked until it falls below n (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
//
// Several sources are dealt out evenly by weight: of n samples a source gets the whole part of its share of n, and what is
// left is dealt to the others in the same way. So every run of samples is mixed, and the shares are exact.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace weft {

// The image of `index` under the permutation of [0, n) that (seed, epoch) names. 0 <= index < n.
int64_t PermutedIndex(uint64_t seed, int64_t epoch, int64_t n, int64_t index);

// The sequence of sample `sample` (0, 1, 2, ... over the whole run): epoch sample / n, place sample % n.
int64_t SequenceAt(uint64_t seed, int64_t num_sequences, int64_t sample);

struct SourceSample {
  size_t source = 0;
  int64_t sample = 0;  // the source's own samples are 0, 1, 2, ...
  bool operator==(const SourceSample&) const = default;
};

// Where sample `sample` of a run comes from. weights: [sources], positive, of a sum that fits 31 bits. Every multiple of
// that sum holds each source exactly in its share.
SourceSample SourceAt(absl::Span<const int64_t> weights, int64_t sample);

}  // namespace weft
