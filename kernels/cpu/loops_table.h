// Fills the table of loops.h with the loops as compiled for the including file's instruction set.
#pragma once

#include "kernels/cpu/adamw_loops.h"
#include "kernels/cpu/cross_entropy_loops.h"
#include "kernels/cpu/elementwise_loops.h"
#include "kernels/cpu/grad_norm_loops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/rms_norm_loops.h"
#include "kernels/cpu/rope_loops.h"
#include "kernels/cpu/swiglu_loops.h"

namespace weft::cpu {
namespace {

template <typename T>
constexpr FloatLoops<T> kFloatLoops = {
    .cast_to_f32 = CastLoop<T, float>,
    .cast_to_bf16 = CastLoop<T, uint16_t>,
    .add_to_f32 = AddLoop<T, float>,
    .add_to_bf16 = AddLoop<T, uint16_t>,
    .add_rows = AddRowsLoop<T>,
    .rms_norm_forward = RmsNormForwardLoop<T>,
    .rms_norm_backward = RmsNormBackwardLoop<T>,
    .rope = RopeLoop<T>,
    .swiglu_forward = SwigluForwardLoop<T>,
    .swiglu_backward = SwigluBackwardLoop<T>,
    .sum_exp = SumExpLoop<T>,
    .scaled_softmax = ScaledSoftmaxLoop<T>,
};

constexpr Loops kLoops = {.f32 = kFloatLoops<float>,
                          .bf16 = kFloatLoops<uint16_t>,
                          .scale = ScaleLoop,
                          .sum_squares = SumSquaresLoop,
                          .adamw = AdamWLoop};

}  // namespace
}  // namespace weft::cpu
