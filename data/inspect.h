// `weft inspect data`: what a token store holds, after checking every byte of it, and what its samples look like to the
// loss.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace weft {

struct InspectOptions {
  int64_t num_samples = 0;  // documents to show decoded, evenly through the store
  bool color = false;       // tokens in the loss are green; else they stand between » and «
};

// Several lines for people: documents, tokens and sequences of each split, a histogram of the documents' lengths, the
// most frequent tokens, where it came from, samples. Fails when anything in the store is damaged.
StatusOr<std::string> InspectData(const std::string& path, const InspectOptions& options = {});

}  // namespace weft
