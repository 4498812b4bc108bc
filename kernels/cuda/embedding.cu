// Token embedding. Backward sorts the tokens (stably, so that equal ones keep their order in the sequence) and sums
// each run of equal tokens in that order: no float atomics, the same bits on every run.
#include "kernels/embedding.h"

#include <cub/device/device_radix_sort.cuh>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

template <typename T, int n>
__global__ void ForwardKernel(const int32_t* tokens, const T* table, T* y, int64_t num_tokens, int64_t v, int64_t d,
                              int64_t vocab_begin, bool accumulate) {
  const int64_t vectors = d / n;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < num_tokens * vectors; i += stride) {
    const int64_t row = tokens[i / vectors] - vocab_begin;
    float value[n] = {};
    if (row >= 0 && row < v) Load<n>(table + row * d + i % vectors * n, value);
    if (accumulate) {
      float before[n];
      Load<n>(y + i * n, before);
#pragma unroll
      for (int j = 0; j < n; ++j) value[j] += before[j];
    }
    Store<n>(y + i * n, value);
  }
}

__global__ void IotaKernel(int32_t* positions, int64_t size) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < size; i += stride) {
    positions[i] = static_cast<int32_t>(i);
  }
}

// Block x looks at entry x of the sorted tokens; the first of a run of equal ones sums the run. Block y cuts d.
template <typename T, int n>
__global__ void BackwardKernel(const int32_t* tokens, const int32_t* positions, const T* dy, float* dtable,
                               int64_t num_tokens, int64_t v, int64_t d, int64_t vocab_begin) {
  const int64_t first = blockIdx.x;
  const int32_t token = tokens[first];
  const int64_t row = token - vocab_begin;
  if (row < 0 || row >= v || (first > 0 && tokens[first - 1] == token)) return;
  const int64_t column = (int64_t{blockIdx.y} * kThreads + threadIdx.x) * n;
  if (column >= d) return;
  float sum[n] = {};
  for (int64_t i = first; i < num_tokens && tokens[i] == token; ++i) {
    float value[n];
    Load<n>(dy + positions[i] * d + column, value);
#pragma unroll
    for (int j = 0; j < n; ++j) sum[j] += value[j];
  }
  float total[n];
  Load<n>(dtable + row * d + column, total);
#pragma unroll
  for (int j = 0; j < n; ++j) total[j] += sum[j];
  Store<n>(dtable + row * d + column, total);
}

struct SortedTokens {
  const int32_t* tokens;
  const int32_t* positions;  // where each stood in the sequence
};

SortedTokens Sort(Stream& stream, const ConstTensorView& tokens) {
  const int64_t size = tokens.num_elements();
  const cudaStream_t native = Native(stream);
  const auto num_items = static_cast<int>(size);
  const auto* unsorted = tokens.data<int32_t>();
  int32_t* none = nullptr;
  size_t sort_bytes = 0;
  WEFT_CUDA_CALL(cub::DeviceRadixSort::SortPairs(nullptr, sort_bytes, unsorted, none, none, none, num_items, 0,
                                                 static_cast<int>(sizeof(int32_t)) * 8, native));
  auto* keys = static_cast<int32_t*>(stream.Workspace(3 * size * sizeof(int32_t) + 256 + sort_bytes).raw());
  int32_t* positions = keys + size;
  int32_t* iota = positions + size;
  void* sort_workspace = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(iota + size) + 255) / 256 * 256);
  IotaKernel<<<GridFor(size), kThreads, 0, native>>>(iota, size);
  WEFT_CUDA_CHECK_LAUNCH();
  WEFT_CUDA_CALL(cub::DeviceRadixSort::SortPairs(sort_workspace, sort_bytes, unsorted, keys, iota, positions,
                                                 num_items, 0, static_cast<int>(sizeof(int32_t)) * 8, native));
  return {keys, positions};
}

}  // namespace

void EmbeddingForward(Stream& stream, const EmbeddingForwardArgs& args) {
  const int64_t num_tokens = args.y.dim(0), d = args.y.dim(1), v = args.table.dim(0);
  if (num_tokens * d == 0) return;
  const cudaStream_t native = Native(stream);
  WithElement(args.y.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* table = static_cast<const T*>(args.table.raw());
    auto* y = static_cast<T*>(args.y.raw());
    const int n = CanVectorize(kVector, d, table, y) ? kVector : 1;
    auto* kernel = n == kVector ? ForwardKernel<T, kVector> : ForwardKernel<T, 1>;
    kernel<<<GridFor(num_tokens * d / n), kThreads, 0, native>>>(args.tokens.data<int32_t>(), table, y, num_tokens, v,
                                                                d, args.vocab_begin, args.accumulate);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

void EmbeddingBackward(Stream& stream, const EmbeddingBackwardArgs& args) {
  const int64_t num_tokens = args.dy.dim(0), d = args.dy.dim(1), v = args.dtable.dim(0);
  if (num_tokens * d == 0) return;
  const SortedTokens sorted = Sort(stream, args.tokens);
  const cudaStream_t native = Native(stream);
  auto* dtable = args.dtable.data<float>();
  WithElement(args.dy.dtype(), [&](auto element) {
    using T = decltype(element);
    const auto* dy = static_cast<const T*>(args.dy.raw());
    const int n = CanVectorize(kVector, d, dy, dtable) ? kVector : 1;
    auto* kernel = n == kVector ? BackwardKernel<T, kVector> : BackwardKernel<T, 1>;
    const dim3 grid(static_cast<unsigned>(num_tokens), static_cast<unsigned>(CeilDiv(d, kThreads * n)));
    kernel<<<grid, kThreads, 0, native>>>(sorted.tokens, sorted.positions, dy, dtable, num_tokens, v, d,
                                          args.vocab_begin);
  });
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
