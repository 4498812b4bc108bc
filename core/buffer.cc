// Allocation on the host and on CUDA devices.
#include "core/buffer.h"

#include <cstdlib>

#include "core/check.h"
#include "core/cuda_device.h"

namespace weft {
namespace {
constexpr size_t kAlignment = 64;
}  // namespace

Buffer::Buffer(Device device, size_t bytes) : device_(device), bytes_(bytes) {
  if (bytes == 0) return;
  if (device.is_cuda()) {
    data_ = cuda::Allocate(device.index, bytes);
  } else {
    data_ = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  WEFT_CHECK(data_ != nullptr) << "could not allocate " << bytes << " bytes on " << device.ToString();
}

Buffer Buffer::PageLocked(Device peer, size_t bytes) {
  if (!peer.is_cuda()) return Buffer(Device::Cpu(), bytes);
  Buffer buffer;
  buffer.bytes_ = bytes;
  if (bytes > 0) buffer.data_ = cuda::AllocateHost(peer.index, bytes);
  buffer.page_locked_ = bytes > 0;
  return buffer;
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (page_locked_) {
    cuda::FreeHost(data_);
  } else if (device_.is_cuda()) {
    cuda::Free(device_.index, data_);
  } else {
    std::free(data_);
  }
}

}  // namespace weft
