// What the benchmarks of CPU ops share: a stream with its threads, and tensors that hold numbers.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "core/rng.h"
#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

// An inline CPU stream over its own threads.
class BenchStream {
 public:
  explicit BenchStream(int num_threads) : pool_(num_threads), stream_(Stream::Create(Device::Cpu(), {.pool = &pool_})) {}
  Stream& operator*() { return *stream_; }

 private:
  ThreadPool pool_;
  std::unique_ptr<Stream> stream_;
};

// Normal numbers, f32 or bf16; the same 65,536 again and again, because drawing takes longer than what is measured.
inline Tensor RandomTensor(const Shape& shape, DType dtype) {
  Tensor tensor(shape, dtype);
  static const std::vector<double> normal = [] {
    std::vector<double> numbers(65536);
    const Rng rng(StreamKey("bench"), 0);
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = rng.Normal(i);
    return numbers;
  }();
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    const float x = static_cast<float>(normal[static_cast<size_t>(i) % normal.size()]);
    if (dtype == DType::kF32) {
      tensor.data<float>()[i] = x;
    } else {
      tensor.data<bf16>()[i] = bf16(x);
    }
  }
  return tensor;
}

// Adds GF/s, of `flops` an iteration.
inline void SetGigaflops(benchmark::State& state, double flops) {
  state.counters["GF/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace weft
