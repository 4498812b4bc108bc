// OpenSSL's EVP calls behind sha256.h.
#include "core/sha256.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "core/check.h"

namespace weft {

Sha256::Sha256() : context_(EVP_MD_CTX_new(), [](void* context) { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }) {
  WEFT_CHECK(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr) == 1);
}

void Sha256::Add(std::string_view bytes) {
  WEFT_CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::Hex() {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  WEFT_CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), reinterpret_cast<unsigned char*>(digest.data()), &size) == 1);
  digest.resize(size);
  return absl::BytesToHexString(digest);
}

std::string Sha256::Of(std::string_view bytes) {
  Sha256 sha256;
  sha256.Add(bytes);
  return sha256.Hex();
}

}  // namespace weft
