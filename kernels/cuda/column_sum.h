// Sums over the rows of a matrix, added to an f32 vector in a fixed order: bias gradients, and the last step of norm
// weight gradients, whose partial sums are rows of a matrix.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft::cuda {

// The most rows of partial sums that a kernel leaves for AddColumnSums; a constant, so that the order of the sum does
// not depend on the GPU.
constexpr int64_t kPartialRows = 256;

// sum [N] f32 += the column sums of rows [R, N] f32.
void AddColumnSums(Stream& stream, ConstTensorView rows, TensorView sum);

}  // namespace weft::cuda
