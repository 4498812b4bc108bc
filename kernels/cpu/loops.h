// The inner loops of the CPU ops, as one table of functions for each instruction set: a row or a range of plain memory
// each, on the calling thread. What shape the work has and which thread does it is decided by the op's own file.
//
// The loops are written once, over Vec (vec.h), in vector_loops.h; loops_portable.cc, loops_avx2.cc and
// loops_avx512.cc compile them. T is float, or uint16_t for the bits of a bf16. Where two tensors may be the same in
// the op's contract, they may be the same pointer here.
#pragma once

#include <cstdint>

#include "kernels/adamw_constants.h"

namespace weft::cpu {

// The sum of e^(x - max) over a row, and the max.
struct SumExp {
  float max;
  double sum;
};

// What layer norm subtracts from a row and multiplies it with.
struct MeanRstd {
  float mean, rstd;
};

template <typename T>
struct FloatLoops {
  // y := x and y += x over n elements.
  void (*cast_to_f32)(const T* x, int64_t n, float* y);
  void (*cast_to_bf16)(const T* x, int64_t n, uint16_t* y);
  void (*add_to_f32)(const T* x, int64_t n, float* y);
  void (*add_to_bf16)(const T* x, int64_t n, uint16_t* y);
  // sum[i] += the sum over rows of x[row * stride + i], rows in order, whatever range of columns is asked for.
  void (*add_rows)(const T* x, int64_t num_rows, int64_t stride, int64_t n, float* sum);
  // One row of n; delta and sum may be null. Returns rstd.
  float (*rms_norm_forward)(const T* x, const T* delta, const T* weight, float eps, int64_t n, T* sum, T* y);
  // One row of n; dsum and dweight may be null; dweight[i] += dy[i] * x[i] * rstd.
  void (*rms_norm_backward)(const T* dy, const T* dsum, const T* x, const T* weight, float rstd, int64_t n, T* dx,
                            float* dweight);
  // The same of layer norm; dweight and dbias are null together; dbias[i] += dy[i].
  MeanRstd (*layer_norm_forward)(const T* x, const T* delta, const T* weight, const T* bias, float eps, int64_t n,
                                 T* sum, T* y);
  void (*layer_norm_backward)(const T* dy, const T* dsum, const T* x, const T* weight, MeanRstd stats, int64_t n, T* dx,
                              float* dweight, float* dbias);
  // The heads of one token, in place; sign is -1 for the transpose.
  void (*rope)(const float* cos, const float* sin, float sign, int64_t num_heads, int64_t half_dim, T* x);
  // One row of n.
  void (*swiglu_forward)(const T* gate, const T* up, int64_t n, T* y);
  void (*swiglu_backward)(const T* dy, const T* gate, const T* up, int64_t n, T* dgate, T* dup);
  void (*gelu_forward)(const T* x, int64_t n, T* y);
  void (*gelu_backward)(const T* dy, const T* x, int64_t n, T* dx);
  SumExp (*sum_exp)(const T* x, int64_t n);
  void (*scaled_softmax)(float lse, float factor, int64_t n, T* x);  // x := factor * e^(x - lse)
};

struct Loops {
  FloatLoops<float> f32;
  FloatLoops<uint16_t> bf16;
  void (*scale)(float factor, int64_t n, float* y);
  double (*sum_squares)(const float* x, int64_t n);
  void (*adamw)(const AdamWConstants& constants, float grad_scale, int64_t n, const float* grad, float* param, float* m,
                float* v, uint16_t* weight);  // weight may be null
};

const Loops& LoopsPortable();
const Loops& LoopsAvx2();
const Loops& LoopsAvx512();

}  // namespace weft::cpu
