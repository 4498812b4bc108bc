// Which documents are kept for validation: those whose content hashes low. The choice depends on a document alone, so
// it stays when others come and go, and equal documents are never on both sides.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace weft {

// The first eight bytes of the SHA-256 of a document's text.
uint64_t ContentHash(std::string_view text);

// Documents with a hash below it are validation. `lowest` and `highest` are of all documents; 0 <= fraction < 1.
uint64_t ValidationThreshold(uint64_t lowest, uint64_t highest, double fraction);

// [documents]: 1 where hash / 2^64 < fraction. With 0 < fraction and two different documents or more, each side has at
// least one: the lowest hash goes to validation, the highest to training. 0 <= fraction < 1.
std::vector<uint8_t> ChooseValidation(absl::Span<const uint64_t> hashes, double fraction);
std::vector<uint8_t> BelowThreshold(absl::Span<const uint64_t> hashes, uint64_t threshold);

}  // namespace weft
