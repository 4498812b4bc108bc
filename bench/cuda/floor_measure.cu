// Implementation of floor_measure.h.
#include "bench/cuda/floor_measure.h"

#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

namespace weft::floors {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): turns a counter into well-mixed bits.
__device__ uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

__device__ float Normal(uint64_t seed, uint64_t index) {
  const uint64_t bits = Mix(Mix(seed) ^ index);
  const float u = (static_cast<uint32_t>(bits) + 0.5f) * 2.3283064e-10f;         // (0, 1)
  const float v = static_cast<uint32_t>(bits >> 32) * 2.3283064e-10f;            // [0, 1]
  return sqrtf(-2.0f * __logf(fminf(u, 0.9999999f))) * __cosf(6.2831853f * v);   // Box-Muller
}

template <typename T>
__global__ void FillNormalKernel(T* data, int64_t count, uint64_t seed, float scale) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    data[i] = T(scale * Normal(seed, i));
  }
}

template <typename T>
void LaunchFill(void* data, int64_t count, uint64_t seed, float scale) {
  FillNormalKernel<<<132 * 16, 256>>>(static_cast<T*>(data), count, seed, scale);
  FLOORS_CUDA(cudaGetLastError());
}

}  // namespace

void CheckCuda(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s:%d: %s: %s (%s)\n", file, line, expression, cudaGetErrorName(status),
               cudaGetErrorString(status));
  std::exit(1);
}

DeviceBuffer::DeviceBuffer(size_t num_bytes) : num_bytes_(num_bytes) {
  FLOORS_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), num_bytes));
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) FLOORS_CUDA(cudaFree(data_));
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), num_bytes_(std::exchange(other.num_bytes_, 0)) {}

void FillNormal(void* data, cudaDataType_t type, int64_t count, uint64_t seed, float scale) {
  switch (type) {
    case CUDA_R_32F: return LaunchFill<float>(data, count, seed, scale);
    case CUDA_R_16BF: return LaunchFill<__nv_bfloat16>(data, count, seed, scale);
    case CUDA_R_8F_E4M3: return LaunchFill<__nv_fp8_e4m3>(data, count, seed, scale);
    case CUDA_R_8F_E5M2: return LaunchFill<__nv_fp8_e5m2>(data, count, seed, scale);
    default: std::fprintf(stderr, "FillNormal: no such type %d\n", static_cast<int>(type)); std::exit(1);
  }
}

double MedianSeconds(const std::function<void(int)>& run, int num_warmup, int num_samples, int runs_per_sample) {
  int turn = 0;
  for (int i = 0; i < num_warmup; ++i) run(turn++);
  std::vector<cudaEvent_t> events(2 * num_samples);
  for (cudaEvent_t& event : events) FLOORS_CUDA(cudaEventCreate(&event));
  for (int s = 0; s < num_samples; ++s) {
    FLOORS_CUDA(cudaEventRecord(events[2 * s]));
    for (int r = 0; r < runs_per_sample; ++r) run(turn++);
    FLOORS_CUDA(cudaEventRecord(events[2 * s + 1]));
  }
  FLOORS_CUDA(cudaDeviceSynchronize());
  std::vector<double> seconds;
  for (int s = 0; s < num_samples; ++s) {
    float milliseconds = 0;
    FLOORS_CUDA(cudaEventElapsedTime(&milliseconds, events[2 * s], events[2 * s + 1]));
    seconds.push_back(milliseconds / 1e3 / runs_per_sample);
  }
  for (cudaEvent_t event : events) FLOORS_CUDA(cudaEventDestroy(event));
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

RunSeconds MeasureRun(const std::function<void(int)>& run) {
  const double estimate = MedianSeconds(run, 1, 3, 1);
  const auto runs_in = [&](double seconds) { return std::max(1, static_cast<int>(seconds / estimate)); };
  RunSeconds result;
  result.sustained = MedianSeconds(run, runs_in(0.2), 9, runs_in(0.005));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  result.burst = MedianSeconds(run, 1, 5, runs_in(0.001));
  return result;
}

Report::Report(const std::string& path) : path_(path) {}

void Report::Line(const nlohmann::ordered_json& line) {
  const std::string text = line.dump();
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
  if (path_.empty()) return;
  std::ofstream file(path_, std::ios::app);
  file << text << "\n";
  if (!file.flush()) {
    std::fprintf(stderr, "cannot write %s\n", path_.c_str());
    std::exit(1);
  }
}

int64_t ElementBytes(cudaDataType_t type) {
  if (type == CUDA_R_32F) return 4;
  return type == CUDA_R_16BF ? 2 : 1;
}

const char* TypeName(cudaDataType_t type) {
  switch (type) {
    case CUDA_R_32F: return "f32";
    case CUDA_R_16BF: return "bf16";
    case CUDA_R_8F_E4M3: return "e4m3";
    case CUDA_R_8F_E5M2: return "e5m2";
    default: return "?";
  }
}

}  // namespace weft::floors
