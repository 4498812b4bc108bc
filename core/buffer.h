// Buffer: one owned allocation on a device. Host memory is aligned to 64 bytes (a cache line, an AVX-512 register).
//
// Page-locked host memory is what a GPU copies to and from on its own, while the host and other streams go on; a copy
// of ordinary host memory stops the host until it is done. It cannot be swapped out and is slow to get, so it is for
// buffers that are small, made once and copied through again and again.
#pragma once

#include <cstddef>
#include <utility>

#include "core/device.h"

namespace weft {

class Buffer {
 public:
  Buffer() = default;
  // Aborts when the memory cannot be had. Zero bytes are valid and give a null pointer.
  Buffer(Device device, size_t bytes);
  // Host memory for copies to and from `peer`: page-locked where that is a GPU, else plain.
  static Buffer PageLocked(Device peer, size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(page_locked_, other.page_locked_);
    return *this;
  }

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Device device_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  bool page_locked_ = false;
};

}  // namespace weft
