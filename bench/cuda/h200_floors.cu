// What one GPU gives, measured: matrix products (bf16, FP8), fused attention, copies and launches. From these follows
// the floor of a training step (bench/step_floor.py), which says how far the trainer is from the machine.
//
// usage: h200_floors [--out FILE] device|gemm|fp8_support|gemm_fp8|attention|copies ...
// One JSON line a result, on standard output and appended to FILE. A CUDA error ends the process, so run sections
// one by one where a later one must not be lost. Recorded results: bench/h200-floors.md.
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/cuda/floor_measure.h"

namespace weft::floors {
namespace {

using nlohmann::ordered_json;

void DescribeDevice(Report& report) {
  cudaDeviceProp properties;
  FLOORS_CUDA(cudaGetDeviceProperties(&properties, 0));
  int driver = 0, runtime = 0, sm_khz = 0, memory_khz = 0;
  FLOORS_CUDA(cudaDriverGetVersion(&driver));
  FLOORS_CUDA(cudaRuntimeGetVersion(&runtime));
  FLOORS_CUDA(cudaDeviceGetAttribute(&sm_khz, cudaDevAttrClockRate, 0));
  FLOORS_CUDA(cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, 0));
  report.Line({{"what", "device"},
               {"name", properties.name},
               {"compute_capability", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
               {"multiprocessors", properties.multiProcessorCount},
               {"memory_bytes", properties.totalGlobalMem},
               {"l2_bytes", properties.l2CacheSize},
               {"sm_clock_mhz", sm_khz / 1000},
               {"memory_clock_mhz", memory_khz / 1000},
               {"cuda_driver", driver},
               {"cuda_runtime", runtime},
               {"cublaslt", cublasLtGetVersion()},
               {"cudnn", cudnnGetVersion()},
               {"cudnn_headers", CUDNN_VERSION}});
}

__global__ void EmptyKernel() {}

__global__ void CopyKernel(const uint4* __restrict__ from, uint4* __restrict__ to, int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) to[i] = from[i];
}

// Reads everything; writes only where a sum is an impossible value, so that the reads stay.
__global__ void ReadKernel(const uint4* __restrict__ from, uint4* __restrict__ to, int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  uint32_t bits = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const uint4 value = from[i];
    bits |= value.x ^ value.y ^ value.z ^ value.w;
  }
  if (bits == 0x80000001u) to[0] = uint4{bits, bits, bits, bits};
}

void ReportRate(Report& report, const char* what, int64_t num_bytes, double seconds, double bytes_moved) {
  report.Line({{"what", what}, {"bytes", num_bytes}, {"us", seconds * 1e6}, {"gb_per_s", bytes_moved / seconds / 1e9}});
}

// Device copies by the copy engine and by kernels: reads plus writes are counted.
void MeasureDeviceCopies(Report& report) {
  const DeviceBuffer from(size_t{6} << 30), to(size_t{6} << 30);
  FillNormal(from.data(), CUDA_R_32F, from.num_bytes() / 4, 5, 1);
  for (const int64_t mebibytes : {16, 64, 256, 2048}) {
    const int64_t bytes = mebibytes << 20, count = bytes / static_cast<int64_t>(sizeof(uint4));
    const int sets = static_cast<int>(std::min<int64_t>(16, static_cast<int64_t>(from.num_bytes()) / bytes));
    const auto source = [&](int turn) { return from.data() + turn % sets * bytes; };
    const auto target = [&](int turn) { return to.data() + turn % sets * bytes; };
    const auto rate = [&](const char* what, double factor, const std::function<void(int)>& run) {
      ReportRate(report, what, bytes, MedianSeconds(run, 3, 9, 4), factor * bytes);
    };
    const auto kernel = [&](auto launch) {
      return [=](int turn) {
        launch(reinterpret_cast<const uint4*>(source(turn)), reinterpret_cast<uint4*>(target(turn)), count);
        FLOORS_CUDA(cudaGetLastError());
      };
    };
    rate("copy_d2d_memcpy", 2, [&](int turn) {
      FLOORS_CUDA(cudaMemcpyAsync(target(turn), source(turn), bytes, cudaMemcpyDeviceToDevice));
    });
    rate("copy_d2d_kernel", 2, kernel([](auto x, auto y, int64_t n) { CopyKernel<<<132 * 8, 512>>>(x, y, n); }));
    rate("read_kernel", 1, kernel([](auto x, auto y, int64_t n) { ReadKernel<<<132 * 8, 512>>>(x, y, n); }));
    rate("memset", 1, [&](int turn) { FLOORS_CUDA(cudaMemsetAsync(target(turn), 1, bytes)); });
  }
}

// Host and device: pinned each way alone, both ways at once on two streams, and pageable.
void MeasureHostCopies(Report& report) {
  const int64_t bytes = int64_t{1} << 30;
  const DeviceBuffer down(bytes), up(bytes);
  char *pinned_up = nullptr, *pinned_down = nullptr;
  FLOORS_CUDA(cudaMallocHost(reinterpret_cast<void**>(&pinned_up), bytes));
  FLOORS_CUDA(cudaMallocHost(reinterpret_cast<void**>(&pinned_down), bytes));
  std::memset(pinned_up, 1, bytes);
  std::memset(pinned_down, 2, bytes);
  std::vector<char> pageable(bytes, 3);
  cudaStream_t streams[2];
  for (cudaStream_t& stream : streams) FLOORS_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const auto rate = [&](const char* what, double factor, const std::function<void(int)>& run) {
    ReportRate(report, what, bytes, MedianSeconds(run, 1, 5, 1), factor * bytes);
  };
  const auto copy = [&](void* to, const void* from, cudaMemcpyKind kind) {
    return [=](int) { FLOORS_CUDA(cudaMemcpyAsync(to, from, bytes, kind)); };
  };
  rate("h2d_pinned", 1, copy(up.data(), pinned_up, cudaMemcpyHostToDevice));
  rate("d2h_pinned", 1, copy(pinned_down, down.data(), cudaMemcpyDeviceToHost));
  rate("h2d_pageable", 1, copy(up.data(), pageable.data(), cudaMemcpyHostToDevice));
  rate("d2h_pageable", 1, copy(pageable.data(), down.data(), cudaMemcpyDeviceToHost));
  FLOORS_CUDA(cudaDeviceSynchronize());
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i) {
    FLOORS_CUDA(cudaMemcpyAsync(up.data(), pinned_up, bytes, cudaMemcpyHostToDevice, streams[0]));
    FLOORS_CUDA(cudaMemcpyAsync(pinned_down, down.data(), bytes, cudaMemcpyDeviceToHost, streams[1]));
  }
  FLOORS_CUDA(cudaDeviceSynchronize());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 4;
  ReportRate(report, "h2d_and_d2h_pinned_at_once", bytes, seconds, 2.0 * bytes);
  for (cudaStream_t stream : streams) FLOORS_CUDA(cudaStreamDestroy(stream));
  FLOORS_CUDA(cudaFreeHost(pinned_up));
  FLOORS_CUDA(cudaFreeHost(pinned_down));
}

// Microseconds of an empty kernel: launched back to back, launched and waited for, and as a node of a replayed graph.
void MeasureLaunches(Report& report) {
  constexpr int kCount = 1000;
  using Clock = std::chrono::steady_clock;
  const auto launch_many = [](cudaStream_t stream) {
    for (int i = 0; i < kCount; ++i) EmptyKernel<<<1, 32, 0, stream>>>();
    FLOORS_CUDA(cudaGetLastError());
  };
  const double back_to_back = MedianSeconds([&](int) { launch_many(nullptr); }, 2, 7, 1) / kCount;
  const auto start = Clock::now();
  for (int i = 0; i < kCount; ++i) {
    EmptyKernel<<<1, 32>>>();
    FLOORS_CUDA(cudaDeviceSynchronize());
  }
  const double waited = std::chrono::duration<double>(Clock::now() - start).count() / kCount;
  cudaStream_t stream;
  FLOORS_CUDA(cudaStreamCreate(&stream));
  FLOORS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  launch_many(stream);
  cudaGraph_t graph;
  FLOORS_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable;
  FLOORS_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  const auto replay = [&](int) { FLOORS_CUDA(cudaGraphLaunch(executable, nullptr)); };
  const double replayed = MedianSeconds(replay, 2, 7, 1) / kCount;
  report.Line({{"what", "launch"},
               {"back_to_back_us", back_to_back * 1e6},
               {"launch_and_wait_us", waited * 1e6},
               {"graph_node_us", replayed * 1e6}});
  FLOORS_CUDA(cudaGraphExecDestroy(executable));
  FLOORS_CUDA(cudaGraphDestroy(graph));
  FLOORS_CUDA(cudaStreamDestroy(stream));
}

void MeasureCopies(Report& report) {
  MeasureDeviceCopies(report);
  MeasureHostCopies(report);
  MeasureLaunches(report);
}

int RunSections(const std::vector<std::string>& arguments) {
  const std::pair<const char*, void (*)(Report&)> sections[] = {
      {"device", DescribeDevice},    {"gemm", MeasureGemmBf16},       {"fp8_support", ProbeFp8Support},
      {"gemm_fp8", MeasureGemmFp8},  {"attention", MeasureAttention}, {"copies", MeasureCopies}};
  std::string path;
  std::vector<void (*)(Report&)> chosen;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--out" && i + 1 < arguments.size()) {
      path = arguments[++i];
      continue;
    }
    const auto* section = std::find_if(std::begin(sections), std::end(sections),
                                       [&](const auto& candidate) { return arguments[i] == candidate.first; });
    if (section == std::end(sections)) {
      std::fprintf(stderr, "no section '%s'\n", arguments[i].c_str());
      return 2;
    }
    chosen.push_back(section->second);
  }
  if (chosen.empty()) {
    std::fprintf(stderr, "usage: h200_floors [--out FILE] device|gemm|fp8_support|gemm_fp8|attention|copies ...\n");
    return 2;
  }
  Report report(path);
  for (const auto section : chosen) section(report);
  return 0;
}

}  // namespace
}  // namespace weft::floors

int main(int argc, char** argv) { return weft::floors::RunSections({argv + 1, argv + argc}); }
