// The data and the configuration of the equivalence matrix: documents made so that whoever divides work among ranks and
// micro-batches gets unequal shares of it.
#pragma once

#include <string>
#include <vector>

#include "trainer/run_config.h"

namespace weft {

inline constexpr int kEquivalenceSteps = 20;

// Writes a token store of documents of very different length and loss mask (whole texts; prompts with a short answer; a
// few that carry no loss at all), which a tiny model learns quickly.
void WriteUnevenCorpus(const std::string& path);

// Writes the configuration that all compositions share: five blocks, 4 key-value heads, clipping that is active.
// Layout keys are left to `--set`.
void WriteEquivalenceConfig(const std::string& path, const std::string& corpus, const std::string& output);

// The configuration at `path` with `overrides` ("key=value") for `num_ranks`; a mistake fails the test.
RunConfig ReadEquivalenceConfig(const std::string& path, std::vector<std::string> overrides, int num_ranks);

}  // namespace weft
