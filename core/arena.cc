// Arena allocation (see arena.h).
#include "core/arena.h"

#include <utility>

namespace weft {

TensorView Arena::Allocate(std::string name, const Shape& shape, DType dtype) {
  tensors_.emplace_back(shape, dtype, device_);
  pieces_.push_back({std::move(name), tensors_.back().num_bytes()});
  return tensors_.back().view();
}

size_t Arena::bytes() const {
  size_t total = 0;
  for (const Piece& piece : pieces_) total += piece.bytes;
  return total;
}

}  // namespace weft
