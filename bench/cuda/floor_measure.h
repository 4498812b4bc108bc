// What every section of the hardware-floor benchmark shares: checked CUDA calls, device buffers filled with
// random numbers, medians of event-timed runs, and one JSON line a result.
//
// Why random numbers: matrix units draw less power on zeros and then clock higher, so zeros flatter. Why medians of
// rotating buffers: a buffer that fits the L2 cache measures the cache.
#ifndef WEFT_BENCH_CUDA_FLOOR_MEASURE_H_
#define WEFT_BENCH_CUDA_FLOOR_MEASURE_H_

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

namespace weft::floors {

// Prints what failed and where, and ends the process: after a CUDA error no later figure can be trusted.
void CheckCuda(cudaError_t status, const char* expression, const char* file, int line);
#define FLOORS_CUDA(expression) ::weft::floors::CheckCuda((expression), #expression, __FILE__, __LINE__)

// Owns one cudaMalloc allocation.
class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t num_bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  char* data() const { return data_; }
  size_t num_bytes() const { return num_bytes_; }

 private:
  char* data_ = nullptr;
  size_t num_bytes_ = 0;
};

// Fills `count` elements with scale * N(0, 1), a pure function of (seed, index). Types: R_32F, R_16BF, R_8F_E4M3,
// R_8F_E5M2 (the last two saturate).
void FillNormal(void* data, cudaDataType_t type, int64_t count, uint64_t seed, float scale);

// Median seconds of one run, over `num_samples` event pairs of `runs_per_sample` runs each, after `num_warmup` runs.
// `run` gets a running number to rotate its buffers by and launches on the default stream.
double MedianSeconds(const std::function<void(int)>& run, int num_warmup, int num_samples, int runs_per_sample);

// Seconds of one run in two states of the machine. Sustained: after a fifth of a second without a pause, when the power
// limit holds the clock down, as in training. Burst: the first milliseconds after a rest, at full clock.
struct RunSeconds {
  double sustained, burst;
};
RunSeconds MeasureRun(const std::function<void(int)>& run);

// Prints one result line and appends it to the file named at start-up.
class Report {
 public:
  explicit Report(const std::string& path);
  void Line(const nlohmann::ordered_json& line);

 private:
  std::string path_;
};

int64_t ElementBytes(cudaDataType_t type);
const char* TypeName(cudaDataType_t type);

// The sections, each of which can run alone.
void MeasureGemmBf16(Report& report);
void ProbeFp8Support(Report& report);
void MeasureGemmFp8(Report& report);
void MeasureAttention(Report& report);

}  // namespace weft::floors

#endif  // WEFT_BENCH_CUDA_FLOOR_MEASURE_H_
