// Token stores whose batches are chosen one by one: easy ones, each of its own, and outliers that no model expects.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/run_config.h"

namespace weft {

// An outlier among the batches of WriteSpikedCorpus.
inline constexpr int kOutlier = -1;

// Writes a store whose b-th global batch under `config` (its seed, batch size and sequence length) holds the sequences of
// batch number batches[b]: the same number is the same batch, in whatever store and at whatever place. No validation split.
void WriteSpikedCorpus(const std::string& path, const RunConfig& config, int32_t vocab_size, const std::vector<int>& batches);

}  // namespace weft
