// RoPE in place: a thread turns n pairs (x[i], x[i + Q/2]) of one head.
#include "kernels/rope.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

struct Layout {
  int64_t tokens, width, column, num_heads, half;  // rows [tokens, width]; half = head_dim / 2
};

template <typename T, int n>
__global__ void RopeKernel(T* x, const int32_t* positions, const float* cos, const float* sin, float sign,
                           Layout layout) {
  const int64_t vectors = layout.half / n;
  const int64_t per_token = layout.num_heads * vectors;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < layout.tokens * per_token; i += stride) {
    const int64_t token = i / per_token;
    const int64_t head = i % per_token / vectors;
    const int64_t offset = i % vectors * n;
    T* low = x + token * layout.width + layout.column + head * 2 * layout.half + offset;
    T* high = low + layout.half;
    const int64_t entry = positions[token] * layout.half + offset;
    float a[n], b[n], c[n], s[n];
    Load<n>(low, a);
    Load<n>(high, b);
    Load<n>(cos + entry, c);
    Load<n>(sin + entry, s);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float turned = a[j] * c[j] - b[j] * (sign * s[j]);
      b[j] = b[j] * c[j] + a[j] * (sign * s[j]);
      a[j] = turned;
    }
    Store<n>(low, a);
    Store<n>(high, b);
  }
}

}  // namespace

void Rope(Stream& stream, const RopeArgs& args) {
  const Layout layout = {args.x.rows.dim(0), args.x.rows.dim(1), args.x.column, args.x.num_heads, args.x.head_dim / 2};
  const int64_t pairs = layout.tokens * layout.num_heads * layout.half;
  if (pairs == 0) return;
  const cudaStream_t native = Native(stream);
  const auto* positions = args.positions.data<int32_t>();
  const auto* cos = args.cos.data<float>();
  const auto* sin = args.sin.data<float>();
  const float sign = args.transpose ? -1.0f : 1.0f;
  WithElement(args.x.rows.dtype(), [&](auto element) {
    using T = decltype(element);
    auto* x = static_cast<T*>(args.x.rows.raw());
    if (CanVectorize(kVector, layout.half, x, cos, sin) && layout.width % kVector == 0 && layout.column % kVector == 0) {
      RopeKernel<T, kVector><<<GridFor(pairs / kVector), kThreads, 0, native>>>(x, positions, cos, sin, sign, layout);
    } else {
      RopeKernel<T, 1><<<GridFor(pairs), kThreads, 0, native>>>(x, positions, cos, sin, sign, layout);
    }
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
