// POSIX files behind core/file.h.
#include "core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace weft {
namespace {

Status SystemError(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message = StrCat(what, " ", path, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM || error == EROFS) return absl::PermissionDeniedError(message);
  if (error == ENOTDIR || error == EISDIR || error == EEXIST || error == ENAMETOOLONG || error == ELOOP) {
    return UserError(message);  // a path that cannot be what was asked for
  }
  return absl::UnavailableError(message);
}

// Closes on every way out.
struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  int number;
};

Status WriteAll(int descriptor, std::string_view contents, const std::string& path) {
  while (!contents.empty()) {
    const ssize_t written = ::write(descriptor, contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError("cannot write", path);
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

Status WriteDurably(const std::string& path, std::string_view contents) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.number < 0) return SystemError("cannot create", path);
  WEFT_RETURN_IF_ERROR(WriteAll(file.number, contents, path));
  if (::fsync(file.number) != 0) return SystemError("cannot flush", path);
  return absl::OkStatus();
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

StatusOr<std::string> ReadFile(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) return SystemError("cannot open", path);
  struct stat info;
  if (::fstat(file.number, &info) != 0) return SystemError("cannot read", path);
  if (S_ISDIR(info.st_mode)) return UserError(path, " is a folder, a file was expected");
  std::string contents;
  char block[1 << 16];
  while (true) {
    const ssize_t count = ::read(file.number, block, sizeof(block));
    if (count == 0) return contents;
    if (count < 0) {
      if (errno == EINTR) continue;
      return SystemError("cannot read", path);
    }
    contents.append(block, static_cast<size_t>(count));
  }
}

Status WriteFileAtomically(const std::string& path, std::string_view contents) {
  const std::string aside = path + ".tmp";
  Status status = WriteDurably(aside, contents);
  if (status.ok()) status = RenameDurably(aside, path);
  if (!status.ok()) ::unlink(aside.c_str());  // half a file helps nobody, least of all on a full disk
  return status;
}

Status MakeFolders(const std::string& path) {
  std::error_code error;
  const std::string parent = ParentOf(path);
  if (std::filesystem::is_directory(path, error)) return absl::OkStatus();
  if (parent != path && !std::filesystem::exists(parent, error)) WEFT_RETURN_IF_ERROR(MakeFolders(parent));
  std::filesystem::create_directory(path, error);
  if (error) {
    errno = error.value();
    return SystemError("cannot create the folder", path);
  }
  return SyncFile(parent);  // else a power cut could take the folder with all that was flushed in it
}

Status SyncFile(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) return SystemError("cannot open", path);
  if (::fsync(file.number) != 0) return SystemError("cannot flush", path);
  return absl::OkStatus();
}

Status RenameDurably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return SystemError("cannot rename to", to);
  return SyncFile(ParentOf(to));
}

StatusOr<FileWriter> FileWriter::Open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return SystemError("cannot open", path);
  return FileWriter(path, descriptor);
}

FileWriter::FileWriter(FileWriter&& other) noexcept { *this = std::move(other); }
FileWriter& FileWriter::operator=(FileWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}
FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status FileWriter::WriteAt(int64_t offset, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError("cannot write", path_);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += written;
  }
  return absl::OkStatus();
}

Status FileWriter::FlushData() const {
  return ::fdatasync(descriptor_) == 0 ? absl::OkStatus() : SystemError("cannot flush", path_);
}

StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) return SystemError("cannot open", path);
  struct stat info;
  if (::fstat(file.number, &info) != 0) return SystemError("cannot read", path);
  if (!S_ISREG(info.st_mode)) return UserError(path, " is not a regular file");
  if (info.st_size == 0) return MappedFile(nullptr, 0);
  void* data = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file.number, 0);
  if (data == MAP_FAILED) return SystemError("cannot map", path);
  return MappedFile(static_cast<const char*>(data), static_cast<size_t>(info.st_size));
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace weft
