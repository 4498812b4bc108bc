// Token stores whose batches are chosen one by one: easy ones, each of its own, outliers that no model expects, and prompts
// alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/run_config.h"

namespace weft {

// Batches of WriteSpikedCorpus that are not easy.
inline constexpr int kOutlier = -1;
inline constexpr int kWithoutLoss = -2;  // no token carries loss

// Writes a store whose b-th global batch under `config` (its seed, batch size and sequence length) holds the sequences of
// batch number batches[b]: the same number is the same batch, in whatever store and at whatever place. No validation split.
void WriteSpikedCorpus(const std::string& path, const RunConfig& config, int32_t vocab_size, const std::vector<int>& batches);

}  // namespace weft
