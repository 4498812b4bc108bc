// `weft inspect data`: what a token store holds, after checking every byte of it.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace weft {

// Several lines for people: documents, tokens and sequences of each split, lengths of documents, the most frequent
// tokens, where it came from. Fails when anything in the store is damaged.
StatusOr<std::string> InspectData(const std::string& path);

}  // namespace weft
