// Executes the shape and dtype comments of an op's args struct: a wrong argument aborts with the field's name before
// any kernel reads it. Each op's Check is a list of these calls.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace weft {

// `view` has this dtype and shape and lies on `device`. A tensor of no elements may be null; no other may.
void CheckArgument(std::string_view field, const ConstTensorView& view, DType dtype, const Shape& shape, Device device);

// The first tensor of an op, whose shape and dtype the others follow: it has `num_dims` dims and is f32 or bf16.
void CheckFloatArgument(std::string_view field, const ConstTensorView& view, int num_dims);

}  // namespace weft
