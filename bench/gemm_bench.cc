// Gemm at the shapes of a 125M model with 1,024 tokens, and of its decoding steps.
#include "kernels/gemm.h"

#include "bench/op_bench.h"

namespace weft {
namespace {

enum Kind { kForward, kDataGradient, kWeightGradient };

// args: kind, T tokens, out features, in features, bf16, threads
void BM_Gemm(benchmark::State& state) {
  const int64_t kind = state.range(0), tokens = state.range(1), out = state.range(2), in = state.range(3);
  const DType dtype = state.range(4) ? DType::kBF16 : DType::kF32;
  BenchStream stream(static_cast<int>(state.range(5)));
  const Tensor x = RandomTensor({tokens, in}, dtype), w = RandomTensor({out, in}, dtype), dy = RandomTensor({tokens, out}, dtype);
  Tensor y({tokens, out}, dtype), dx({tokens, in}, dtype), dw = RandomTensor({out, in}, DType::kF32);
  for (auto _ : state) {
    if (kind == kForward) Gemm(*stream, {.a = x, .b = w, .c = y, .transpose_b = true});
    if (kind == kDataGradient) Gemm(*stream, {.a = dy, .b = w, .c = dx});
    if (kind == kWeightGradient) Gemm(*stream, {.a = dy, .b = x, .c = dw, .transpose_a = true, .accumulate = true});
  }
  SetGigaflops(state, 2.0 * static_cast<double>(tokens * out * in));
  state.counters["GB/s of W"] = benchmark::Counter(static_cast<double>(w.num_bytes()) * 1e-9,
                                                   benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_Gemm)
    ->ArgNames({"kind", "T", "out", "in", "bf16", "threads"})
    ->ArgsProduct({{kForward, kDataGradient, kWeightGradient}, {1024}, {2304, 4096}, {768}, {0, 1}, {1, 2}})
    ->ArgsProduct({{kForward}, {1, 2, 4, 8, 9, 16}, {4096}, {768}, {0, 1}, {1, 2}})
    ->ArgsProduct({{kForward}, {1}, {50304}, {768}, {0, 1}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace weft
