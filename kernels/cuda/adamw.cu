// AdamW: one pass over masters, gradient and moments, four elements a thread (one 16-byte access of each).
#include "kernels/adamw.h"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

constexpr int kAdamVector = 4;

struct Update {
  float *param, *m, *v;
  const float* grad;
  __nv_bfloat16* weight;    // or null
  const float* grad_scale;  // [1]
  AdamWConstants constants;
};

template <int n>
__global__ void AdamWKernel(Update u, int64_t begin, int64_t end) {
  const float grad_scale = *u.grad_scale;
  const AdamWConstants& c = u.constants;
  const int64_t stride = int64_t{gridDim.x} * kThreads * n;
  for (int64_t i = begin + (int64_t{blockIdx.x} * kThreads + threadIdx.x) * n; i < end; i += stride) {
    float p[n], g[n], m[n], v[n];
    Load<n>(u.param + i, p);
    Load<n>(u.grad + i, g);
    Load<n>(u.m + i, m);
    Load<n>(u.v + i, v);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      g[j] *= grad_scale;
      m[j] += c.one_minus_beta1 * (g[j] - m[j]);
      v[j] = c.beta2 * v[j] + c.one_minus_beta2 * g[j] * g[j];
      p[j] = c.decay * p[j] - c.step_size * m[j] / (sqrtf(v[j]) / c.sqrt_bias_correction2 + c.eps);
    }
    Store<n>(u.param + i, p);
    Store<n>(u.m + i, m);
    Store<n>(u.v + i, v);
    if (u.weight != nullptr) Store<n>(u.weight + i, p);
  }
}

}  // namespace

void AdamW(Stream& stream, const AdamWArgs& args) {
  const int64_t size = args.param.num_elements();
  if (size == 0) return;
  const Update update = {
      .param = args.param.data<float>(),
      .m = args.m.data<float>(),
      .v = args.v.data<float>(),
      .grad = args.grad.data<float>(),
      .weight = static_cast<__nv_bfloat16*>(args.weight.raw()),
      .grad_scale = args.grad_scale.data<float>(),
      .constants = ConstantsOf(args),
  };
  const cudaStream_t native = Native(stream);
  const bool aligned = CanVectorize(1, size, update.param, update.m, update.v, update.grad, update.weight);
  const int64_t whole = aligned ? size / kAdamVector * kAdamVector : 0;
  if (whole > 0) {
    AdamWKernel<kAdamVector><<<GridFor(whole / kAdamVector), kThreads, 0, native>>>(update, 0, whole);
    WEFT_CUDA_CHECK_LAUNCH();
  }
  if (whole < size) {
    AdamWKernel<1><<<GridFor(size - whole), kThreads, 0, native>>>(update, whole, size);
    WEFT_CUDA_CHECK_LAUNCH();
  }
}

}  // namespace weft::cuda
