// SHA-256 of files, boxes of checkpoints and documents, by OpenSSL.
//
// One checksum for all: x86's SHA instructions reach 1.8 GB/s a core (BLAKE2b: 0.9), which disks seldom do, no
// accidental change gets past it, and anyone can repeat it with sha256sum.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace weft {

class Sha256 {
 public:
  Sha256();
  void Add(std::string_view bytes);
  std::string Hex();  // once, at the end: 64 lower-case digits

  static std::string Of(std::string_view bytes);

 private:
  std::shared_ptr<void> context_;
};

}  // namespace weft
