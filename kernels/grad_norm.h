// The global gradient norm and the factor that clips it, kept on the device so that a step never waits for the host.
// Each tensor's sum of squares goes into its own slot; slots are added over ranks and then once, in double.
#pragma once

#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

struct SumSquaresArgs {
  ConstTensorView x;  // [n] f32
  TensorView out;     // [1] f32, overwritten: sum of x^2, accumulated in f64 over a fixed order
};

// norm = sqrt(sum of slots); scale = min(1, max_norm / (norm + 1e-6)), or 1 when max_norm is 0 (PyTorch's rule).
struct ClipScaleArgs {
  ConstTensorView sum_squares;  // [n] f32: slots
  float max_norm = 0;           // 0: never clip
  TensorView norm;              // [1] f32: before clipping
  TensorView scale;             // [1] f32
};

void Check(const SumSquaresArgs& args);
void Check(const ClipScaleArgs& args);
void SumSquares(Stream& stream, const SumSquaresArgs& args);
void ClipScale(Stream& stream, const ClipScaleArgs& args);

namespace cpu {
size_t SumSquaresScratchBytes(const SumSquaresArgs& args);
void SumSquares(ThreadPool& pool, const SumSquaresArgs& args, TensorView scratch);
void ClipScale(ThreadPool& pool, const ClipScaleArgs& args);
}  // namespace cpu
namespace cuda {
void SumSquares(Stream& stream, const SumSquaresArgs& args);
void ClipScale(Stream& stream, const ClipScaleArgs& args);
}  // namespace cuda

}  // namespace weft
