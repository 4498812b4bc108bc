// Shape: the extents of a tensor, outermost first. Always contiguous and row-major, so it says all about a layout.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/check.h"

namespace weft {

class Shape {
 public:
  static constexpr int kMaxDims = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) Append(d);
  }

  void Append(int64_t extent) {
    WEFT_CHECK_LT(num_dims_, kMaxDims);
    dims_[num_dims_++] = extent;
  }
  int num_dims() const { return num_dims_; }
  int64_t operator[](int i) const {
    WEFT_CHECK(i >= 0 && i < num_dims_) << "dim " << i << " of " << ToString();
    return dims_[i];
  }
  void set(int i, int64_t extent) {
    WEFT_CHECK(i >= 0 && i < num_dims_);
    dims_[i] = extent;
  }
  int64_t num_elements() const {  // 1 for a scalar (no dims)
    int64_t n = 1;
    for (int i = 0; i < num_dims_; ++i) n *= dims_[i];
    return n;
  }
  int64_t row_elements() const {  // elements of one index of dim 0
    int64_t n = 1;
    for (int i = 1; i < num_dims_; ++i) n *= dims_[i];
    return n;
  }
  bool operator==(const Shape&) const = default;
  std::string ToString() const;  // "[128, 64]"

  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + num_dims_; }

 private:
  std::array<int64_t, kMaxDims> dims_{};
  int num_dims_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.ToString(); }

}  // namespace weft
