// Arena allocation (see arena.h).
#include "core/arena.h"

#include <utility>

namespace weft {

TensorView Arena::Allocate(std::string name, const Shape& shape, DType dtype) {
  return Keep(std::move(name), Tensor(shape, dtype, device_));
}

TensorView Arena::AllocatePageLocked(std::string name, const Shape& shape, DType dtype, Device peer) {
  WEFT_CHECK(!device_.is_cuda()) << "page-locked memory is the host's";
  return Keep(std::move(name), Tensor::PageLocked(shape, dtype, peer));
}

TensorView Arena::Keep(std::string name, Tensor tensor) {
  tensors_.push_back(std::move(tensor));
  pieces_.push_back({std::move(name), tensors_.back().num_bytes()});
  return tensors_.back().view();
}

size_t Arena::bytes() const {
  size_t total = 0;
  for (const Piece& piece : pieces_) total += piece.bytes;
  return total;
}

}  // namespace weft
