// GELU, forward and backward: one pass each over the rows as one run of elements.
#include "kernels/gelu.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

// (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3): the sigmoid, and the derivative of 2u.
__device__ inline float GeluSigmoid(float x) {
  return 1.0f / (1.0f + expf(-1.5957691216f * (x + 0.044715f * x * x * x)));
}
__device__ inline float GeluArgumentSlope(float x) { return 1.5957691216f * (1.0f + 0.134145f * x * x); }

template <typename T, int n>
__global__ void ForwardKernel(const T* x, T* y, int64_t vectors) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += stride) {
    float value[n];
    Load<n>(x + i * n, value);
#pragma unroll
    for (int j = 0; j < n; ++j) value[j] *= GeluSigmoid(value[j]);
    Store<n>(y + i * n, value);
  }
}

// With s = sigmoid(2u): d (x s) / dx = s + x s (1 - s) 2u'. A thread reads its x before it writes dx, which may be x.
template <typename T, int n>
__global__ void BackwardKernel(const T* dy, const T* x, T* dx, int64_t vectors) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += stride) {
    float value[n], d[n];
    Load<n>(x + i * n, value);
    Load<n>(dy + i * n, d);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float s = GeluSigmoid(value[j]);
      d[j] *= s + value[j] * s * (1.0f - s) * GeluArgumentSlope(value[j]);
    }
    Store<n>(dx + i * n, d);
  }
}

}  // namespace

void GeluForward(Stream& stream, const GeluForwardArgs& args) {
  const int64_t size = args.x.num_elements();
  if (size == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.x.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* x = static_cast<const T*>(args.x.raw());
    auto* y = static_cast<T*>(args.y.raw());
    if (CanVectorize(kVector, size, x, y)) {
      ForwardKernel<T, kVector><<<GridFor(size / kVector), kThreads, 0, native>>>(x, y, size / kVector);
    } else {
      ForwardKernel<T, 1><<<GridFor(size), kThreads, 0, native>>>(x, y, size);
    }
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void GeluBackward(Stream& stream, const GeluBackwardArgs& args) {
  const int64_t size = args.dy.num_elements();
  if (size == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.dy.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* dy = static_cast<const T*>(args.dy.raw());
    const auto* x = static_cast<const T*>(args.x.raw());
    auto* dx = static_cast<T*>(args.dx.raw());
    if (CanVectorize(kVector, size, dy, x, dx)) {
      BackwardKernel<T, kVector><<<GridFor(size / kVector), kThreads, 0, native>>>(dy, x, dx, size / kVector);
    } else {
      BackwardKernel<T, 1><<<GridFor(size), kThreads, 0, native>>>(dy, x, dx, size);
    }
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
