// Packing: which tokens stand in which training sequence.
//
// A document longer than a sequence is cut into pieces of exactly a sequence and a rest; pieces are put into sequences
// by best-fit decreasing (longest piece first, into the fullest sequence that still has room), so that no document is
// cut that need not be: Ding et al., "Fewer Truncations Improve Language Modeling", ICML 2024. What stays free at the
// end of a sequence becomes one masked padding document. A plan is a pure function of its arguments.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/status.h"

namespace weft {

// Tokens [begin, begin + length) of a store, all of one document. In a plan each predicts the token after it, which is
// in the store too: a document's last token (its end-of-sequence token) is only ever a target.
struct TokenRange {
  int64_t begin = 0;
  int64_t length = 0;
  bool operator==(const TokenRange&) const = default;
};

struct PackingPlan {
  int64_t sequence_length = 0;             // tokens
  std::vector<TokenRange> pieces;          // of sequence 0, then of sequence 1, ...
  std::vector<int64_t> sequence_begins{0}; // [num_sequences + 1]: first piece of each sequence

  int64_t num_sequences() const { return static_cast<int64_t>(sequence_begins.size()) - 1; }
  int64_t num_tokens() const;  // without padding
  absl::Span<const TokenRange> PiecesOf(int64_t sequence) const;
  bool operator==(const PackingPlan&) const = default;
};

// `documents` are the tokens that may stand as input (without each document's last one); empty ones are left out.
// sequence_length > 0.
PackingPlan PackDocuments(absl::Span<const TokenRange> documents, int64_t sequence_length);

// Whether a plan that was read from a file is one for a store of `num_tokens`: every piece inside it with a token
// after it, no sequence overfull.
Status CheckPlan(const PackingPlan& plan, int64_t num_tokens);

}  // namespace weft
