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

std::vector<uint8_t> ChooseValidation(absl::Span<const uint64_t> hashes, double fraction) {
  WEFT_CHECK(fraction >= 0 && fraction < 1) << fraction;
  std::vector<uint8_t> validation(hashes.size(), 0);
  if (hashes.empty() || fraction == 0) return validation;
  const auto [lowest, highest] = std::minmax_element(hashes.begin(), hashes.end());
  if (*lowest == *highest) return validation;
  // Hashes below it are validation. Above the lowest and not above the highest, so that neither side is empty.
  const uint64_t threshold = std::clamp(static_cast<uint64_t>(fraction * 0x1p64), *lowest + 1, *highest);
  for (size_t i = 0; i < hashes.size(); ++i) validation[i] = hashes[i] < threshold;
  return validation;
}

}  // namespace weft
