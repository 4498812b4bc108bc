// SwiGLU, forward and backward: one pass each.
#include "kernels/swiglu.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

__device__ inline float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <typename T, int n>
__global__ void ForwardKernel(const T* gate_up, T* y, int64_t tokens, int64_t f) {
  const int64_t vectors = f / n;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < tokens * vectors; i += stride) {
    const int64_t row = i / vectors;
    const int64_t column = i % vectors * n;
    float gate[n], up[n];
    Load<n>(gate_up + row * 2 * f + column, gate);
    Load<n>(gate_up + row * 2 * f + f + column, up);
#pragma unroll
    for (int j = 0; j < n; ++j) up[j] *= gate[j] * Sigmoid(gate[j]);
    Store<n>(y + row * f + column, up);
  }
}

// d silu(g) / dg = s (1 + g (1 - s)), s = sigmoid(g). A thread reads its gate and up before it writes their gradients.
template <typename T, int n>
__global__ void BackwardKernel(const T* dy, const T* gate_up, T* dgate_up, int64_t tokens, int64_t f) {
  const int64_t vectors = f / n;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < tokens * vectors; i += stride) {
    const int64_t row = i / vectors;
    const int64_t column = i % vectors * n;
    const int64_t at = row * 2 * f + column;
    float gate[n], up[n], d[n];
    Load<n>(gate_up + at, gate);
    Load<n>(gate_up + at + f, up);
    Load<n>(dy + row * f + column, d);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float s = Sigmoid(gate[j]);
      const float silu = gate[j] * s;
      gate[j] = d[j] * up[j] * s * (1.0f + gate[j] * (1.0f - s));
      up[j] = d[j] * silu;
    }
    Store<n>(dgate_up + at, gate);
    Store<n>(dgate_up + at + f, up);
  }
}

}  // namespace

void SwigluForward(Stream& stream, const SwigluForwardArgs& args) {
  const int64_t tokens = args.y.dim(0), f = args.y.dim(1);
  if (tokens * f == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.y.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* gate_up = static_cast<const T*>(args.gate_up.raw());
    auto* y = static_cast<T*>(args.y.raw());
    if (CanVectorize(kVector, f, gate_up, y)) {
      ForwardKernel<T, kVector><<<GridFor(tokens * f / kVector), kThreads, 0, native>>>(gate_up, y, tokens, f);
    } else {
      ForwardKernel<T, 1><<<GridFor(tokens * f), kThreads, 0, native>>>(gate_up, y, tokens, f);
    }
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void SwigluBackward(Stream& stream, const SwigluBackwardArgs& args) {
  const int64_t tokens = args.dy.dim(0), f = args.dy.dim(1);
  if (tokens * f == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.dy.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* dy = static_cast<const T*>(args.dy.raw());
    const auto* gate_up = static_cast<const T*>(args.gate_up.raw());
    auto* dgate_up = static_cast<T*>(args.dgate_up.raw());
    if (CanVectorize(kVector, f, dy, gate_up, dgate_up)) {
      BackwardKernel<T, kVector>
          <<<GridFor(tokens * f / kVector), kThreads, 0, native>>>(dy, gate_up, dgate_up, tokens, f);
    } else {
      BackwardKernel<T, 1><<<GridFor(tokens * f), kThreads, 0, native>>>(dy, gate_up, dgate_up, tokens, f);
    }
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
