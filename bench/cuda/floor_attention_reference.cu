// Implementation of floor_attention_reference.h: a warp a row, a sampled row or a sampled column; each lane holds
// head_dim / 32 elements.
#include "bench/cuda/floor_attention_reference.h"

#include <cmath>

#include "bench/cuda/floor_measure.h"

namespace weft::floors {
namespace {

constexpr int kMaxPerLane = 4;
constexpr int kNumSamples = 64;

struct Vec {
  float x[kMaxPerLane];
};

__device__ Vec Load(const __nv_bfloat16* row, int head_dim) {
  Vec vec = {};
  for (int i = 0; i < kMaxPerLane; ++i) {
    const int d = threadIdx.x % 32 + 32 * i;
    if (d < head_dim) vec.x[i] = __bfloat162float(row[d]);
  }
  return vec;
}

__device__ float Dot(const Vec& a, const Vec& b) {
  float sum = 0;
  for (int i = 0; i < kMaxPerLane; ++i) sum += a.x[i] * b.x[i];
  for (int lane = 16; lane > 0; lane /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lane);
  return sum;
}

__device__ void AddScaled(Vec& a, float factor, const Vec& b) {
  for (int i = 0; i < kMaxPerLane; ++i) a.x[i] += factor * b.x[i];
}

__device__ void Store(float* row, const Vec& vec, int head_dim) {
  for (int i = 0; i < kMaxPerLane; ++i) {
    const int d = threadIdx.x % 32 + 32 * i;
    if (d < head_dim) row[d] = vec.x[i];
  }
}

// The rows of one token: q and do of a query head, k and v of the kv head.
struct Rows {
  AttentionTensors t;
  int kv_head;
  __device__ Vec Q(int64_t token, int head) const {
    return Load(t.q + token * t.q_stride + head * t.head_dim, t.head_dim);
  }
  __device__ Vec DO(int64_t token, int head) const {
    return Load(t.d_o + token * t.o_stride + head * t.head_dim, t.head_dim);
  }
  __device__ Vec K(int64_t token) const { return Load(t.k + token * t.kv_stride + kv_head * t.head_dim, t.head_dim); }
  __device__ Vec V(int64_t token) const { return Load(t.v + token * t.kv_stride + kv_head * t.head_dim, t.head_dim); }
  __device__ float Scale() const { return rsqrtf(static_cast<float>(t.head_dim)); }
  __device__ int FirstHead() const { return kv_head * (t.heads / t.kv_heads); }
};

// lse and delta of every row: [group, T].
__global__ void RowStatsKernel(Rows rows, const int* starts_of_token, int num_tokens, float* lse, float* delta) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  const int group = rows.t.heads / rows.t.kv_heads;
  if (row >= static_cast<int64_t>(group) * num_tokens) return;
  const int token = row % num_tokens, head = rows.FirstHead() + row / num_tokens;
  const Vec q = rows.Q(token, head), d_o = rows.DO(token, head);
  float max = -INFINITY, sum = 0, weighted = 0;
  for (int j = starts_of_token[token]; j <= token; ++j) {
    const float s = rows.Scale() * Dot(q, rows.K(j)), dp = Dot(d_o, rows.V(j));
    const float new_max = fmaxf(max, s), rescale = expf(max - new_max), p = expf(s - new_max);
    sum = sum * rescale + p;
    weighted = weighted * rescale + p * dp;
    max = new_max;
  }
  if (threadIdx.x % 32 != 0) return;
  lse[row] = max + logf(sum);
  delta[row] = weighted / sum;
}

// o and dq of sampled (token, head in group): [samples, head_dim] each.
__global__ void RowsKernel(Rows rows, const int* starts_of_token, int num_tokens, const int* tokens, const float* lse,
                           const float* delta, float* o, float* dq) {
  const int sample = blockIdx.x, token = tokens[sample], in_group = sample % (rows.t.heads / rows.t.kv_heads);
  const int head = rows.FirstHead() + in_group;
  const int64_t row = static_cast<int64_t>(in_group) * num_tokens + token;
  const Vec q = rows.Q(token, head), d_o = rows.DO(token, head);
  Vec o_sum = {}, dq_sum = {};
  for (int j = starts_of_token[token]; j <= token; ++j) {
    const Vec k = rows.K(j), v = rows.V(j);
    const float p = expf(rows.Scale() * Dot(q, k) - lse[row]);
    AddScaled(o_sum, p, v);
    AddScaled(dq_sum, rows.Scale() * p * (Dot(d_o, v) - delta[row]), k);
  }
  Store(o + sample * rows.t.head_dim, o_sum, rows.t.head_dim);
  Store(dq + sample * rows.t.head_dim, dq_sum, rows.t.head_dim);
}

// dk and dv of sampled tokens: [samples, head_dim] each.
__global__ void ColumnsKernel(Rows rows, const int* ends_of_token, int num_tokens, const int* tokens, const float* lse,
                              const float* delta, float* dk, float* dv) {
  const int sample = blockIdx.x, token = tokens[sample];
  const Vec k = rows.K(token), v = rows.V(token);
  Vec dk_sum = {}, dv_sum = {};
  for (int in_group = 0; in_group < rows.t.heads / rows.t.kv_heads; ++in_group) {
    for (int i = token; i < ends_of_token[token]; ++i) {
      const int64_t row = static_cast<int64_t>(in_group) * num_tokens + i;
      const Vec q = rows.Q(i, rows.FirstHead() + in_group), d_o = rows.DO(i, rows.FirstHead() + in_group);
      const float p = expf(rows.Scale() * Dot(q, k) - lse[row]);
      AddScaled(dv_sum, p, d_o);
      AddScaled(dk_sum, rows.Scale() * p * (Dot(d_o, v) - delta[row]), q);
    }
  }
  Store(dk + sample * rows.t.head_dim, dk_sum, rows.t.head_dim);
  Store(dv + sample * rows.t.head_dim, dv_sum, rows.t.head_dim);
}

__global__ void CountNonFiniteKernel(const __nv_bfloat16* data, int64_t stride, int width, int num_tokens,
                                     unsigned long long* non_finite) {
  const int64_t count = static_cast<int64_t>(num_tokens) * width, step = gridDim.x * 256ll;
  for (int64_t i = blockIdx.x * 256ll + threadIdx.x; i < count; i += step) {
    if (!isfinite(__bfloat162float(data[i / width * stride + i % width]))) atomicAdd(non_finite, 1ull);
  }
}

template <typename T>
DeviceBuffer Upload(const std::vector<T>& host) {
  DeviceBuffer buffer(host.size() * sizeof(T));
  FLOORS_CUDA(cudaMemcpy(buffer.data(), host.data(), buffer.num_bytes(), cudaMemcpyHostToDevice));
  return buffer;
}

float* Floats(const DeviceBuffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }
int* Ints(const DeviceBuffer& buffer) { return reinterpret_cast<int*>(buffer.data()); }

// The sampled rows of `tensor` against references [samples, head_dim]; heads[s] is the head of sample s.
double RelativeError(const __nv_bfloat16* tensor, int64_t stride, int head_dim, const std::vector<int>& tokens,
                     const std::vector<int>& heads, const DeviceBuffer& references) {
  std::vector<float> expected(kNumSamples * head_dim);
  FLOORS_CUDA(cudaMemcpy(expected.data(), references.data(), expected.size() * sizeof(float), cudaMemcpyDeviceToHost));
  std::vector<__nv_bfloat16> row(head_dim);
  double error = 0, norm = 0;
  for (int s = 0; s < kNumSamples; ++s) {
    FLOORS_CUDA(cudaMemcpy(row.data(), tensor + tokens[s] * stride + heads[s] * head_dim, head_dim * sizeof(row[0]),
                           cudaMemcpyDeviceToHost));
    for (int d = 0; d < head_dim; ++d) {
      const double reference = expected[s * head_dim + d];
      error += std::pow(static_cast<float>(row[d]) - reference, 2);
      norm += reference * reference;
    }
  }
  return std::sqrt(error / norm);
}

int64_t CountNonFinite(const AttentionTensors& t, int num_tokens) {
  DeviceBuffer count(sizeof(unsigned long long));
  FLOORS_CUDA(cudaMemset(count.data(), 0, count.num_bytes()));
  const auto add = [&](const __nv_bfloat16* data, int64_t stride, int heads) {
    CountNonFiniteKernel<<<1024, 256>>>(data, stride, heads * t.head_dim, num_tokens,
                                        reinterpret_cast<unsigned long long*>(count.data()));
    FLOORS_CUDA(cudaGetLastError());
  };
  add(t.o, t.o_stride, t.heads);
  add(t.dq, t.q_stride, t.heads);
  add(t.dk, t.kv_stride, t.kv_heads);
  add(t.dv, t.kv_stride, t.kv_heads);
  unsigned long long total = 0;
  FLOORS_CUDA(cudaMemcpy(&total, count.data(), sizeof(total), cudaMemcpyDeviceToHost));
  return static_cast<int64_t>(total);
}

}  // namespace

AttentionErrors CheckAttention(const AttentionTensors& tensors, const std::vector<int>& document_starts, int kv_head) {
  const int num_tokens = document_starts.back(), group = tensors.heads / tensors.kv_heads, dim = tensors.head_dim;
  std::vector<int> starts(num_tokens), ends(num_tokens), tokens, row_heads;
  for (size_t document = 0; document + 1 < document_starts.size(); ++document) {
    for (int t = document_starts[document]; t < document_starts[document + 1]; ++t) {
      starts[t] = document_starts[document];
      ends[t] = document_starts[document + 1];
    }
  }
  for (int s = 0; s < kNumSamples; ++s) {
    tokens.push_back(s + 1 == kNumSamples ? num_tokens - 1 : static_cast<int>(s * 2503ll % num_tokens));
    row_heads.push_back(kv_head * group + s % group);
  }
  const DeviceBuffer device_starts = Upload(starts), device_ends = Upload(ends), device_tokens = Upload(tokens);
  const DeviceBuffer lse(size_t{4} * group * num_tokens), delta(size_t{4} * group * num_tokens);
  const DeviceBuffer o(4 * kNumSamples * dim), dq(4 * kNumSamples * dim), dk(4 * kNumSamples * dim),
      dv(4 * kNumSamples * dim);
  const Rows rows{tensors, kv_head};
  RowStatsKernel<<<(group * num_tokens + 3) / 4, 128>>>(rows, Ints(device_starts), num_tokens, Floats(lse),
                                                        Floats(delta));
  FLOORS_CUDA(cudaGetLastError());
  RowsKernel<<<kNumSamples, 32>>>(rows, Ints(device_starts), num_tokens, Ints(device_tokens), Floats(lse),
                                  Floats(delta), Floats(o), Floats(dq));
  FLOORS_CUDA(cudaGetLastError());
  ColumnsKernel<<<kNumSamples, 32>>>(rows, Ints(device_ends), num_tokens, Ints(device_tokens), Floats(lse),
                                     Floats(delta), Floats(dk), Floats(dv));
  FLOORS_CUDA(cudaGetLastError());
  FLOORS_CUDA(cudaDeviceSynchronize());
  const std::vector<int> column_heads(kNumSamples, kv_head);
  return {RelativeError(tensors.o, tensors.o_stride, dim, tokens, row_heads, o),
          RelativeError(tensors.dq, tensors.q_stride, dim, tokens, row_heads, dq),
          RelativeError(tensors.dk, tensors.kv_stride, dim, tokens, column_heads, dk),
          RelativeError(tensors.dv, tensors.kv_stride, dim, tokens, column_heads, dv),
          CountNonFinite(tensors, num_tokens)};
}

}  // namespace weft::floors
