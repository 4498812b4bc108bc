// Pairwise covers: few rows of settings in which every two settings of two factors stand together somewhere.
//
// Most faults of a composition show when two of its parts meet, so such a cover finds nearly what the whole product
// would, at a hundredth of its cost. Greedy over the whole product: the row with most uncovered pairs comes next (Cohen et
// al., "The AETG System", 1997). Of equals a hash chooses, so that what no longer matters varies, too, and the cover is
// a pure function of its arguments.
#pragma once

#include <functional>
#include <set>
#include <tuple>
#include <vector>

namespace weft {

using CoverRow = std::vector<int>;                        // the level of each factor
using LevelPair = std::tuple<int, int, int, int>;         // factor a, its level, factor b > a, its level
using RowFilter = std::function<bool(const CoverRow&)>;  // whether these settings mean anything together

// All rows of the product of `num_levels` that pass `is_valid`.
std::vector<CoverRow> ValidRows(const std::vector<int>& num_levels, const RowFilter& is_valid);

std::set<LevelPair> PairsOf(const std::vector<CoverRow>& rows);

// Rows out of `rows` that together have every pair that `rows` have.
std::vector<CoverRow> PairwiseCover(const std::vector<CoverRow>& rows);

}  // namespace weft
