// Tensors: Tensor owns memory and moves; TensorView and ConstTensorView look, so a signature says what is written.
//
// All are contiguous and row-major, with dtype and device inside; no strides, no scales, no gradients.
// Views are plain values; whoever owns the memory must outlive them, and all work queued on them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffer.h"
#include "core/check.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace weft {

namespace tensor_internal {

// What both views share; Pointer is void* or const void*.
template <typename Pointer, typename Self>
class ViewBase {
 public:
  const Shape& shape() const { return shape_; }
  int64_t dim(int i) const { return shape_[i]; }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  Pointer raw() const { return data_; }
  bool empty() const { return data_ == nullptr; }  // an optional argument that was not given
  int64_t num_elements() const { return shape_.num_elements(); }
  size_t num_bytes() const { return static_cast<size_t>(num_elements()) * DTypeSize(dtype_); }

  // Rows [begin, end) of dim 0.
  Self Rows(int64_t begin, int64_t end) const {
    WEFT_CHECK(0 <= begin && begin <= end && end <= shape_[0]) << begin << ".." << end << " of " << shape_;
    Self view = static_cast<const Self&>(*this);
    view.shape_.set(0, end - begin);
    view.data_ = Offset(static_cast<size_t>(begin * shape_.row_elements()) * DTypeSize(dtype_));
    return view;
  }
  // The same elements under another shape.
  Self Reshaped(const Shape& shape) const {
    WEFT_CHECK_EQ(shape.num_elements(), num_elements());
    Self view = static_cast<const Self&>(*this);
    view.shape_ = shape;
    return view;
  }
  // The same elements in one dim.
  Self Flat() const { return Reshaped({num_elements()}); }

 protected:
  ViewBase() = default;
  ViewBase(Pointer data, const Shape& shape, DType dtype, Device device)
      : data_(data), shape_(shape), dtype_(dtype), device_(device) {}

  Pointer Offset(size_t bytes) const {
    if constexpr (std::is_same_v<Pointer, void*>) {
      return static_cast<std::byte*>(data_) + bytes;
    } else {
      return static_cast<const std::byte*>(data_) + bytes;
    }
  }

  Pointer data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::kF32;
  Device device_;
};

}  // namespace tensor_internal

class TensorView : public tensor_internal::ViewBase<void*, TensorView> {
 public:
  TensorView() = default;
  TensorView(void* data, const Shape& shape, DType dtype, Device device) : ViewBase(data, shape, dtype, device) {}

  template <typename T>
  T* data() const {
    WEFT_CHECK(DTypeOf<T>::value == dtype_) << "asked for another type than " << DTypeName(dtype_);
    return static_cast<T*>(data_);
  }
};

class ConstTensorView : public tensor_internal::ViewBase<const void*, ConstTensorView> {
 public:
  ConstTensorView() = default;
  ConstTensorView(const void* data, const Shape& shape, DType dtype, Device device)
      : ViewBase(data, shape, dtype, device) {}
  ConstTensorView(const TensorView& view)  // NOLINT: every view may be read
      : ViewBase(view.raw(), view.shape(), view.dtype(), view.device()) {}

  template <typename T>
  const T* data() const {
    WEFT_CHECK(DTypeOf<T>::value == dtype_) << "asked for another type than " << DTypeName(dtype_);
    return static_cast<const T*>(data_);
  }
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised memory on `device`; aborts when it cannot be had (plan before you allocate).
  Tensor(const Shape& shape, DType dtype, Device device = Device::Cpu())
      : buffer_(device, static_cast<size_t>(shape.num_elements()) * DTypeSize(dtype)),
        view_(buffer_.data(), shape, dtype, device) {}

  // In host memory that copies to and from `peer` without stopping the host (core/buffer.h).
  static Tensor PageLocked(const Shape& shape, DType dtype, Device peer) {
    Tensor tensor;
    tensor.buffer_ = Buffer::PageLocked(peer, static_cast<size_t>(shape.num_elements()) * DTypeSize(dtype));
    tensor.view_ = TensorView(tensor.buffer_.data(), shape, dtype, Device::Cpu());
    return tensor;
  }

  Tensor(Tensor&&) = default;
  Tensor& operator=(Tensor&&) = default;

  TensorView view() { return view_; }
  ConstTensorView view() const { return view_; }
  operator TensorView() { return view_; }             // NOLINT: an owner may be written through
  operator ConstTensorView() const { return view_; }  // NOLINT: an owner may be read

  const Shape& shape() const { return view_.shape(); }
  DType dtype() const { return view_.dtype(); }
  Device device() const { return view_.device(); }
  int64_t num_elements() const { return view_.num_elements(); }
  size_t num_bytes() const { return view_.num_bytes(); }
  template <typename T>
  T* data() { return view_.data<T>(); }
  template <typename T>
  const T* data() const { return view_.data<T>(); }

 private:
  Buffer buffer_;
  TensorView view_;
};

}  // namespace weft
