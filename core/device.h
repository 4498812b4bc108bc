// Where memory lives and work runs: the host's cores, or one CUDA GPU of this process.
#pragma once

#include <string>

namespace weft {

enum class DeviceKind : unsigned char { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;  // CUDA ordinal within this process; 0 on the CPU

  static Device Cpu() { return {}; }
  static Device Cuda(int index = 0) { return {DeviceKind::kCuda, index}; }
  bool is_cuda() const { return kind == DeviceKind::kCuda; }
  bool operator==(const Device&) const = default;
  std::string ToString() const { return is_cuda() ? "cuda:" + std::to_string(index) : "cpu"; }
};

}  // namespace weft
