// Casts, accumulation and scaling: one pass, 16-byte accesses, the tail of a length that is no multiple of 8 one by one.
#include "kernels/elementwise.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

// y[i] = x[i], or y[i] + x[i] with kAdd.
template <typename X, typename Y, int n, bool kAdd>
__global__ void CastKernel(const X* x, Y* y, int64_t size) {
  const int64_t stride = int64_t{gridDim.x} * kThreads * n;
  for (int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * n; i < size; i += stride) {
    float values[n];
    Load<n>(x + i, values);
    if constexpr (kAdd) {
      float sums[n];
      Load<n>(y + i, sums);
#pragma unroll
      for (int j = 0; j < n; ++j) values[j] += sums[j];
    }
    Store<n>(y + i, values);
  }
}

template <bool kAdd, typename X, typename Y>
void LaunchCast(cudaStream_t stream, const X* x, Y* y, int64_t size) {
  const int64_t whole = CanVectorize(1, size, x, y) ? size / kVector * kVector : 0;
  if (whole > 0) {
    CastKernel<X, Y, kVector, kAdd><<<GridFor(whole / kVector), kThreads, 0, stream>>>(x, y, whole);
    WEFT_CUDA_CHECK_LAUNCH();
  }
  if (whole < size) {
    CastKernel<X, Y, 1, kAdd><<<GridFor(size - whole), kThreads, 0, stream>>>(x + whole, y + whole, size - whole);
    WEFT_CUDA_CHECK_LAUNCH();
  }
}

template <bool kAdd>
void LaunchCast(Stream& stream, const ConstTensorView& x, const TensorView& y) {
  const cudaStream_t native = Native(stream);
  WithElement(x.dtype(), [&](auto x_element) {
    WithElement(y.dtype(), [&](auto y_element) {
      LaunchCast<kAdd>(native, static_cast<const decltype(x_element)*>(x.raw()),
                       static_cast<decltype(y_element)*>(y.raw()), x.num_elements());
    });
  });
}

__global__ void ScaleKernel(float* y, float factor, int64_t size) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < size; i += stride) y[i] *= factor;
}

}  // namespace

void Cast(Stream& stream, const CastArgs& args) { LaunchCast<false>(stream, args.from, args.to); }
void Accumulate(Stream& stream, const AccumulateArgs& args) { LaunchCast<true>(stream, args.x, args.y); }

void Scale(Stream& stream, const ScaleArgs& args) {
  const int64_t size = args.y.num_elements();
  if (size == 0) return;
  ScaleKernel<<<GridFor(size), kThreads, 0, Native(stream)>>>(args.y.data<float>(), args.factor, size);
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
