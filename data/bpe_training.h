// Learns the merges of a byte-level BPE from counted pieces: again and again the pair of neighbours that is found most
// often becomes a token (Sennrich et al., ACL 2016), of equals the one with the smaller ids.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace weft {

using PieceCounts = absl::flat_hash_map<std::string, int64_t>;

struct LearntBpe {
  std::vector<std::string> tokens;          // by id, their bytes: the 256 bytes, then one a merge
  std::vector<std::pair<int, int>> merges;  // ids, by rank
};

// Stops at `num_tokens` (at least 256), or where no pair is found twice. Depends on the counts alone.
LearntBpe LearnBpe(const PieceCounts& pieces, int num_tokens);

}  // namespace weft
