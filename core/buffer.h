// Buffer: one owned allocation on a device. Host memory is aligned to 64 bytes (a cache line, an AVX-512 register).
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
  ~Buffer();
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Device device_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace weft
