// The greedy cover (see pairwise_cover.h).
#include "tests/equivalence/pairwise_cover.h"

#include <algorithm>
#include <cstdint>
#include <map>

namespace weft {
namespace {

constexpr uint64_t kHashFactor = 0x9E3779B97F4A7C15;  // Knuth's multiplicative hash, 64 bits

std::vector<LevelPair> PairsOfRow(const CoverRow& row) {
  std::vector<LevelPair> pairs;
  for (int a = 0; a < static_cast<int>(row.size()); ++a) {
    for (int b = a + 1; b < static_cast<int>(row.size()); ++b) pairs.emplace_back(a, row[a], b, row[b]);
  }
  return pairs;
}

}  // namespace

std::vector<CoverRow> ValidRows(const std::vector<int>& num_levels, const RowFilter& is_valid) {
  std::vector<CoverRow> rows;
  CoverRow row(num_levels.size(), 0);
  while (true) {
    if (is_valid(row)) rows.push_back(row);
    size_t factor = row.size();  // count on, the last factor fastest
    while (factor > 0 && ++row[factor - 1] == num_levels[factor - 1]) row[--factor] = 0;
    if (factor == 0) return rows;
  }
}

std::set<LevelPair> PairsOf(const std::vector<CoverRow>& rows) {
  std::set<LevelPair> pairs;
  for (const CoverRow& row : rows) {
    for (const LevelPair& pair : PairsOfRow(row)) pairs.insert(pair);
  }
  return pairs;
}

std::vector<CoverRow> PairwiseCover(const std::vector<CoverRow>& rows) {
  std::map<LevelPair, int> numbers;
  std::vector<std::vector<int>> pairs_of(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const LevelPair& pair : PairsOfRow(rows[i])) {
      pairs_of[i].push_back(numbers.emplace(pair, static_cast<int>(numbers.size())).first->second);
    }
  }
  std::vector<bool> covered(numbers.size(), false);
  const auto num_new = [&](const std::vector<int>& pairs) {
    return std::count_if(pairs.begin(), pairs.end(), [&](int pair) { return !covered[pair]; });
  };
  std::vector<CoverRow> cover;
  while (std::find(covered.begin(), covered.end(), false) != covered.end()) {
    size_t best = 0;
    std::pair<int64_t, uint64_t> most = {-1, 0};
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::pair<int64_t, uint64_t> mine = {num_new(pairs_of[i]), i * kHashFactor};
      if (mine > most) std::tie(best, most) = std::tie(i, mine);
    }
    for (int pair : pairs_of[best]) covered[pair] = true;
    cover.push_back(rows[best]);
  }
  return cover;
}

}  // namespace weft
