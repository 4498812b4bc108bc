// Best-fit decreasing over pieces of at most a sequence.
#include "data/packing.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "core/check.h"

namespace weft {
namespace {

// Pieces of at most a sequence, longest first, in document order among equals: a counting sort, which needs no memory
// but the result's.
std::vector<TokenRange> CutIntoPieces(absl::Span<const TokenRange> documents, int64_t sequence_length) {
  const auto for_each_piece = [&](auto take) {
    for (const TokenRange& document : documents) {
      for (int64_t done = 0; done < document.length; done += sequence_length) {
        take(TokenRange{document.begin + done, std::min(sequence_length, document.length - done)});
      }
    }
  };
  int64_t longest = 0;
  for_each_piece([&](const TokenRange& piece) { longest = std::max(longest, piece.length); });
  std::vector<int64_t> next(static_cast<size_t>(longest + 1), 0);  // [length]: where the next piece of that length goes
  for_each_piece([&](const TokenRange& piece) { ++next[piece.length]; });
  int64_t num_pieces = 0;
  for (int64_t length = longest; length > 0; --length) num_pieces += std::exchange(next[length], num_pieces);
  std::vector<TokenRange> pieces(static_cast<size_t>(num_pieces));
  for_each_piece([&](const TokenRange& piece) { pieces[next[piece.length]++] = piece; });
  return pieces;
}

// The sequence each piece goes to. Pieces come longest first, in document order among equals.
std::vector<int64_t> ChooseSequences(const std::vector<TokenRange>& pieces, int64_t sequence_length,
                                     int64_t* num_sequences) {
  std::map<int64_t, std::vector<int64_t>> open;  // free tokens -> sequences with just that many
  std::vector<int64_t> chosen(pieces.size());
  *num_sequences = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const int64_t length = pieces[i].length;
    int64_t free = sequence_length;
    const auto fit = open.lower_bound(length);
    if (fit == open.end()) {
      chosen[i] = (*num_sequences)++;
    } else {
      free = fit->first;
      chosen[i] = fit->second.back();
      fit->second.pop_back();
      if (fit->second.empty()) open.erase(fit);
    }
    if (free > length) open[free - length].push_back(chosen[i]);
  }
  return chosen;
}

}  // namespace

int64_t PackingPlan::num_tokens() const {
  return std::accumulate(pieces.begin(), pieces.end(), int64_t{0},
                         [](int64_t sum, const TokenRange& piece) { return sum + piece.length; });
}

absl::Span<const TokenRange> PackingPlan::PiecesOf(int64_t sequence) const {
  WEFT_CHECK(sequence >= 0 && sequence < num_sequences()) << "sequence " << sequence << " of " << num_sequences();
  const int64_t begin = sequence_begins[sequence];
  return absl::MakeConstSpan(pieces).subspan(begin, sequence_begins[sequence + 1] - begin);
}

PackingPlan PackDocuments(absl::Span<const TokenRange> documents, int64_t sequence_length) {
  WEFT_CHECK_GT(sequence_length, 0);
  const std::vector<TokenRange> pieces = CutIntoPieces(documents, sequence_length);
  int64_t num_sequences = 0;
  const std::vector<int64_t> chosen = ChooseSequences(pieces, sequence_length, &num_sequences);

  PackingPlan plan;
  plan.sequence_length = sequence_length;
  plan.sequence_begins.assign(num_sequences + 1, 0);
  for (int64_t sequence : chosen) ++plan.sequence_begins[sequence + 1];
  std::partial_sum(plan.sequence_begins.begin(), plan.sequence_begins.end(), plan.sequence_begins.begin());
  plan.pieces.resize(pieces.size());
  std::vector<int64_t> next(plan.sequence_begins.begin(), plan.sequence_begins.end() - 1);
  for (size_t i = 0; i < pieces.size(); ++i) plan.pieces[next[chosen[i]]++] = pieces[i];
  return plan;
}

Status CheckPlan(const PackingPlan& plan, int64_t num_tokens) {
  const int64_t num_pieces = static_cast<int64_t>(plan.pieces.size());
  if (plan.sequence_length <= 0 || plan.sequence_begins.empty() || plan.sequence_begins.front() != 0 ||
      plan.sequence_begins.back() != num_pieces) {
    return DataError("the packing plan's sequences do not cover its pieces");
  }
  for (const TokenRange& piece : plan.pieces) {
    const bool inside = piece.begin >= 0 && piece.length > 0 && piece.length <= plan.sequence_length &&
                        piece.begin < num_tokens - piece.length;
    if (!inside) {
      return DataError("the packing plan has a piece of ", piece.length, " tokens at ", piece.begin,
                       ", which does not fit a sequence or the store's ", num_tokens, " tokens");
    }
  }
  for (int64_t i = 0; i < plan.num_sequences(); ++i) {
    const int64_t begin = plan.sequence_begins[i], end = plan.sequence_begins[i + 1];
    if (begin > end || end > num_pieces) return DataError("the packing plan's sequence ", i, " has no valid pieces");
    int64_t length = 0;
    for (int64_t p = begin; p < end; ++p) length += plan.pieces[p].length;
    if (length > plan.sequence_length) return DataError("the packing plan's sequence ", i, " is overfull");
  }
  return absl::OkStatus();
}

}  // namespace weft
