// A threshold on hashes.
#include "data/validation_split.h"

#include <openssl/evp.h>

#include <algorithm>

#include "core/check.h"

namespace weft {

uint64_t ContentHash(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  WEFT_CHECK(EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr) == 1);
  uint64_t hash = 0;
  for (int i = 0; i < 8; ++i) hash = hash << 8 | digest[i];
  return hash;
}

uint64_t ValidationThreshold(uint64_t lowest, uint64_t highest, double fraction) {
  WEFT_CHECK(fraction >= 0 && fraction < 1) << fraction;
  if (fraction == 0 || lowest == highest) return 0;
  // Above the lowest and not above the highest, so that neither side is empty.
  return std::clamp(static_cast<uint64_t>(fraction * 0x1p64), lowest + 1, highest);
}

std::vector<uint8_t> BelowThreshold(absl::Span<const uint64_t> hashes, uint64_t threshold) {
  std::vector<uint8_t> validation(hashes.size(), 0);
  for (size_t i = 0; i < hashes.size(); ++i) validation[i] = hashes[i] < threshold;
  return validation;
}

std::vector<uint8_t> ChooseValidation(absl::Span<const uint64_t> hashes, double fraction) {
  if (hashes.empty()) return {};
  const auto [lowest, highest] = std::minmax_element(hashes.begin(), hashes.end());
  return BelowThreshold(hashes, ValidationThreshold(*lowest, *highest, fraction));
}

}  // namespace weft
