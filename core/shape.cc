// Printing of shapes.
#include "core/shape.h"

namespace weft {

std::string Shape::ToString() const {
  std::string text = "[";
  for (int i = 0; i < num_dims_; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(dims_[i]);
  }
  return text + "]";
}

}  // namespace weft
