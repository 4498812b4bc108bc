// The little of HDF5 that token stores and checkpoints share, with statuses and scopes: files with a user block, growing
// vectors, texts and integer attributes. Errors are HDF5's own words; nothing of it is printed. Only *hdf5* files include
// this. A process of weft calls libhdf5 on one thread, so one without thread safety will do (the tests, whose ranks are
// threads, need the lock that Debian's and Ubuntu's have around every call).
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/status.h"

namespace weft::hdf5 {

// Owns one HDF5 identifier (a file, a dataset, a property list, ...).
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept { *this = std::move(other); }
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() { Close().IgnoreError(); }
  // Fails where a file's last bytes could not be written.
  Status Close();

  hid_t id() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

// While it lives, HDF5 does not print the errors of this thread's calls.
class Quiet {
 public:
  Quiet();
  ~Quiet();

 private:
  H5E_auto2_t printer_ = nullptr;
  void* data_ = nullptr;
};

// `what` with the reason HDF5 left behind on this thread: Unavailable where the disk is full or broken, else DataError.
Status LastError(std::string_view what);

// The memory type of a C++ integer.
template <typename T>
hid_t NativeType();
template <> inline hid_t NativeType<uint8_t>() { return H5T_NATIVE_UINT8; }
template <> inline hid_t NativeType<int32_t>() { return H5T_NATIVE_INT32; }
template <> inline hid_t NativeType<int64_t>() { return H5T_NATIVE_INT64; }

// Files are written in the format of HDF5 1.10, whose metadata bear checksums.
StatusOr<Handle> CreateFile(const std::string& path, int64_t user_block_bytes);
// For reading. A child process looks at it first (core/hdf5_probe.h), so what libhdf5 crashes on is refused.
StatusOr<Handle> OpenFile(const std::string& path);

// A one-dimensional dataset of integers, chunked, each chunk with a checksum that HDF5 verifies when it reads it.
class Vector {
 public:
  struct Options {
    hid_t file_type = H5T_STD_I64LE;
    int64_t chunk = 1 << 14;  // elements
    bool deflate = false;
  };
  static StatusOr<Vector> Create(const Handle& parent, const char* name, const Options& options);
  // Fails unless `name` is a one-dimensional dataset of integers whose values fit T.
  template <typename T>
  static StatusOr<Vector> Open(const Handle& parent, const char* name) {
    return OpenAs(parent, name, NativeType<T>());
  }

  int64_t size() const { return size_; }
  template <typename T>
  Status Append(const T* values, int64_t count) {
    return AppendAs(NativeType<T>(), values, count);
  }
  // values: [count]. The range must lie inside.
  template <typename T>
  Status Read(int64_t begin, int64_t count, T* values) const {
    return ReadAs(NativeType<T>(), begin, count, values);
  }

 private:
  static StatusOr<Vector> OpenAs(const Handle& parent, const char* name, hid_t memory_type);
  Status AppendAs(hid_t memory_type, const void* values, int64_t count);
  Status ReadAs(hid_t memory_type, int64_t begin, int64_t count, void* values) const;

  std::string name_;
  Handle dataset_;
  int64_t size_ = 0;
};

StatusOr<Handle> CreateGroup(const Handle& parent, const char* name);
StatusOr<Handle> OpenGroup(const Handle& parent, const char* name);

Status WriteText(const Handle& parent, const char* name, const std::string& text);
StatusOr<std::string> ReadText(const Handle& parent, const char* name);  // at most 1 GiB
// A text that files may lack: one that is empty is not written, and an absent one is read as empty.
Status WriteOptionalText(const Handle& parent, const char* name, const std::string& text);
StatusOr<std::string> ReadOptionalText(const Handle& parent, const char* name);

Status WriteNumber(const Handle& object, const char* attribute, int64_t value);
StatusOr<int64_t> ReadNumber(const Handle& object, const char* attribute);

}  // namespace weft::hdf5
