// Files: read whole, map, and write so that a reader sees the old contents or the new, never half.
//
// Errors name the path and the system's reason. Paths are plain strings; std::filesystem does the rest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace weft {

StatusOr<std::string> ReadFile(const std::string& path);

// Writes aside (path + ".tmp"), flushes to disk, renames over `path`, flushes the folder.
Status WriteFileAtomically(const std::string& path, std::string_view contents);

Status MakeFolders(const std::string& path);  // and its parents; fine if it is there
Status SyncFile(const std::string& path);     // fsync of a file or folder written by somebody else (HDF5)
// Renames a file or folder and flushes the parent folder.
Status RenameDurably(const std::string& from, const std::string& to);

// Writes into a file that exists, at any place.
class FileWriter {
 public:
  static StatusOr<FileWriter> Open(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&& other) noexcept;
  ~FileWriter();

  Status WriteAt(int64_t offset, std::string_view bytes) const;
  Status FlushData() const;  // what was written is on disk; where the file ends may not be

 private:
  FileWriter(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_ = -1;
};

// A read-only memory map of a whole file.
class MappedFile {
 public:
  static StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace weft
