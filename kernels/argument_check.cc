// Argument checks of the ops (see argument_check.h).
#include "kernels/argument_check.h"

#include "core/check.h"

namespace weft {

void CheckArgument(std::string_view field, const ConstTensorView& view, DType dtype, const Shape& shape,
                   Device device) {
  WEFT_CHECK(view.dtype() == dtype) << field << " is " << DTypeName(view.dtype()) << ", expected " << DTypeName(dtype);
  WEFT_CHECK(view.shape() == shape) << field << " is " << view.shape() << ", expected " << shape;
  WEFT_CHECK(!view.empty() || shape.num_elements() == 0) << field << " has no data";
  WEFT_CHECK(view.device() == device) << field << " is on " << view.device().ToString() << ", expected "
                                      << device.ToString();
}

void CheckFloatArgument(std::string_view field, const ConstTensorView& view, int num_dims) {
  WEFT_CHECK(view.dtype() == DType::kF32 || view.dtype() == DType::kBF16)
      << field << " is " << DTypeName(view.dtype()) << ", expected f32 or bf16";
  WEFT_CHECK_EQ(view.shape().num_dims(), num_dims) << field << " is " << view.shape();
  WEFT_CHECK(!view.empty() || view.num_elements() == 0) << field << " has no data";
}

}  // namespace weft
