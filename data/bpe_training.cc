// Pairs are counted once; a merge visits only the pieces that hold its pair. The queue is brought up to date late: an
// entry whose count is no longer true goes back with the present one.
#include "data/bpe_training.h"

#include <queue>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "core/progress.h"

namespace weft {
namespace {

using Pair = std::pair<int, int>;  // ids

struct Piece {
  std::vector<int> symbols;  // ids
  int64_t count;
};

struct PairState {
  int64_t count = 0;            // over all pieces
  std::vector<size_t> pieces;   // that hold it, or once did; some twice
};

struct Entry {
  int64_t count;
  Pair pair;
  bool operator<(const Entry& other) const {  // the queue's first is the most frequent, then the smallest
    return std::tie(count, other.pair) < std::tie(other.count, pair);
  }
};

class Learner {
 public:
  explicit Learner(const PieceCounts& counts) {
    for (int byte = 0; byte < 256; ++byte) learnt_.tokens.emplace_back(1, static_cast<char>(byte));
    pieces_.reserve(counts.size());
    for (const auto& [text, count] : counts) {
      Piece piece{{}, count};
      for (const unsigned char byte : text) piece.symbols.push_back(byte);
      pieces_.push_back(std::move(piece));
      CountPairs(pieces_.size() - 1, 1);
    }
    for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
  }

  LearntBpe Learn(size_t num_tokens) {
    Progress progress("learning merges", static_cast<int64_t>(num_tokens - learnt_.tokens.size()), "tokens");
    while (learnt_.tokens.size() < num_tokens && !queue_.empty()) {
      const Entry best = queue_.top();
      queue_.pop();
      const int64_t count = pairs_[best.pair].count;
      if (count < 2) continue;
      if (count != best.count) {
        queue_.push({count, best.pair});
      } else {
        const size_t before = learnt_.tokens.size();
        Merge(best.pair);
        progress.Advance(static_cast<int64_t>(learnt_.tokens.size() - before));
      }
    }
    return std::move(learnt_);
  }

 private:
  void CountPairs(size_t index, int sign) {
    const Piece& piece = pieces_[index];
    for (size_t i = 0; i + 1 < piece.symbols.size(); ++i) {
      PairState& state = pairs_[{piece.symbols[i], piece.symbols[i + 1]}];
      state.count += sign * piece.count;
      if (sign > 0 && (state.pieces.empty() || state.pieces.back() != index)) state.pieces.push_back(index);
    }
  }

  void Merge(const Pair& pair) {
    const int id = IdOfMerge(pair);
    if (known_merges_.insert(pair).second) learnt_.merges.push_back(pair);
    const std::vector<size_t> holders = std::move(pairs_[pair].pieces);
    for (const size_t index : holders) {
      std::vector<int> merged = Merged(pieces_[index].symbols, pair, id);
      if (merged.size() == pieces_[index].symbols.size()) continue;  // an earlier merge took it
      CountPairs(index, -1);
      pieces_[index].symbols = std::move(merged);
      CountPairs(index, 1);
      QueuePairsOf(pieces_[index], id);
    }
    pairs_.erase(pair);
  }

  // The same bytes can come of two pairs ("ab" + "c", "a" + "bc"): they are one token.
  int IdOfMerge(const Pair& pair) {
    std::string bytes = learnt_.tokens[pair.first] + learnt_.tokens[pair.second];
    const auto [entry, is_new] = ids_.try_emplace(bytes, static_cast<int>(learnt_.tokens.size()));
    if (is_new) learnt_.tokens.push_back(std::move(bytes));
    return entry->second;
  }

  static std::vector<int> Merged(const std::vector<int>& symbols, const Pair& pair, int id) {
    std::vector<int> merged;
    merged.reserve(symbols.size());
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
      merged.push_back(here ? id : symbols[i]);
      if (here) ++i;
    }
    return merged;
  }

  // The pairs with the token `id`; their counts still grow, so they are queued with what is known and again
  // when they come up.
  void QueuePairsOf(const Piece& piece, int id) {
    for (size_t i = 0; i + 1 < piece.symbols.size(); ++i) {
      const Pair pair(piece.symbols[i], piece.symbols[i + 1]);
      if (pair.first == id || pair.second == id) queue_.push({pairs_[pair].count, pair});
    }
  }

  LearntBpe learnt_;
  absl::flat_hash_map<std::string, int> ids_;  // of tokens of two bytes or more
  absl::flat_hash_set<Pair> known_merges_;
  std::vector<Piece> pieces_;
  absl::flat_hash_map<Pair, PairState> pairs_;
  std::priority_queue<Entry> queue_;
};

}  // namespace

LearntBpe LearnBpe(const PieceCounts& pieces, int num_tokens) {
  return Learner(pieces).Learn(static_cast<size_t>(num_tokens));
}

}  // namespace weft
