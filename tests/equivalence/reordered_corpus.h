// Token stores that hold the same global batches with their micro-batches in another order: what a run on one rank may
// differ by without being wrong, for comparisons in bf16.
#pragma once

#include <cstdint>
#include <string>

#include "trainer/run_config.h"

namespace weft {

// Writes as many documents of one sequence each, with uneven loss masks, as `config` takes in its steps. Every step's
// global batch has the same sequences whatever `order` is; order 0 leaves them as they are, others permute each batch's
// micro-batches of `sequences_per_micro_batch`. There are n! orders of n micro-batches.
// The validation split is the same in all orders.
void WriteReorderedCorpus(const std::string& path, const RunConfig& config, int32_t vocab_size,
                          int64_t sequences_per_micro_batch, int order);

}  // namespace weft
