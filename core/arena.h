// Arena: named pieces of memory on one device, all allocated before the first step.
//
// The list of pieces is what a listing of memory prints, so that a plan is the allocation.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"

namespace weft {

class Arena {
 public:
  struct Piece {
    std::string name;
    size_t bytes = 0;
  };

  explicit Arena(Device device) : device_(device) {}

  // Memory that lives as long as the arena. Uninitialised.
  TensorView Allocate(std::string name, const Shape& shape, DType dtype);
  // The same in host memory that copies to and from `peer` without stopping the host; for arenas on the CPU.
  TensorView AllocatePageLocked(std::string name, const Shape& shape, DType dtype, Device peer);

  Device device() const { return device_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  size_t bytes() const;

 private:
  TensorView Keep(std::string name, Tensor tensor);

  Device device_;
  std::vector<Piece> pieces_;
  std::vector<Tensor> tensors_;
};

}  // namespace weft
