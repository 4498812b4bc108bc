// Header and digest by memory map and OpenSSL.
#include "data/store_header.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "core/check.h"
#include "core/file.h"
#include "core/sha256.h"

namespace weft {
namespace {

constexpr std::string_view kMagic = "weft token store ";
constexpr std::string_view kVersion = "1";
constexpr size_t kAlwaysVerifiedBytes = size_t{256} << 20;

std::string HeaderFor(std::string_view file) {
  std::string header = StrCat(kMagic, kVersion, "\nbytes ", file.size(), "\nsha256 ",
                              Sha256::Of(file.substr(kStoreHeaderBytes)), "\n");
  header.resize(kStoreHeaderBytes);
  return header;
}

}  // namespace

bool IsTokenStore(const std::string& path) {
  const StatusOr<MappedFile> file = MappedFile::Open(path);
  return file.ok() && file->bytes().substr(0, kMagic.size()) == kMagic;
}

Status SealStore(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  WEFT_CHECK_GE(static_cast<int64_t>(file.bytes().size()), kStoreHeaderBytes);
  const std::string header = HeaderFor(file.bytes());
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::UnavailableError(StrCat("cannot open ", path, ": ", std::strerror(errno)));
  const bool written =
      ::pwrite(descriptor, header.data(), header.size(), 0) == kStoreHeaderBytes && ::fsync(descriptor) == 0;
  const int error = errno;
  ::close(descriptor);
  if (!written) return absl::UnavailableError(StrCat("cannot write ", path, ": ", std::strerror(error)));
  return absl::OkStatus();
}

StatusOr<std::string> CheckStoreHeader(const std::string& path, bool verify_all) {
  WEFT_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const std::string_view bytes = file.bytes();
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return DataError("this is not a token store; `weft data prepare` writes them");
  }
  if (static_cast<int64_t>(bytes.size()) < kStoreHeaderBytes) return DataError("the file is truncated");
  const std::string_view header = bytes.substr(0, kStoreHeaderBytes);
  const std::string_view version = header.substr(kMagic.size(), header.find('\n') - kMagic.size());
  if (version != kVersion) {
    return DataError("the store has format version ", version.substr(0, 20), ", this weft reads ", kVersion,
                     ": prepare the data again");
  }
  const std::string size_line = StrCat("\nbytes ", bytes.size(), "\n");
  if (header.find(size_line) == std::string_view::npos) {
    return DataError("the file has ", bytes.size(),
                     " bytes, not as many as when it was written: it is truncated or damaged");
  }
  if ((bytes.size() <= kAlwaysVerifiedBytes || verify_all) && header != HeaderFor(bytes)) {
    return DataError("the file is damaged: its SHA-256 is not the one it was written with");
  }
  constexpr std::string_view kDigestLine = "\nsha256 ";
  const size_t digest = header.find(kDigestLine);
  if (digest == std::string_view::npos) return DataError("the header has no SHA-256: the file is damaged");
  return std::string(header.substr(digest + kDigestLine.size(), 64));
}

}  // namespace weft
