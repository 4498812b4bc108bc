// The first 512 bytes of a token store: what it is, how large, and the SHA-256 of all that follows. It is readable
// with `head`, and it is checked before libhdf5, which can crash on hostile files, sees the file at all.
//
//   weft token store 1
//   bytes 123456
//   sha256 0123...
//   (zeros)
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace weft {

inline constexpr int64_t kStoreHeaderBytes = 512;  // the smallest user block HDF5 has

// Whether the file at `path` begins as a token store does, whole or damaged.
bool IsTokenStore(const std::string& path);

// Computes size and digest of the finished file at `path` and writes its header, flushed to disk.
Status SealStore(const std::string& path);

// The digest in the header of the store at `path`, 64 hexadecimal digits. Fails where the file is not a store, not as
// long as its header says or, up to 256 MiB or when `verify_all`, not the bytes that were written. Messages do not name
// the path.
StatusOr<std::string> CheckStoreHeader(const std::string& path, bool verify_all);

}  // namespace weft
