// The CPU ops that are bound by memory, in bytes that must move, against a memcpy of the same threads: AdamW, norms,
// SwiGLU, RoPE, cross-entropy, casts and sums. Sizes are those of a 125M model with 1,024 tokens; larger than the cache
// where training's are.
#include <cstring>

#include "bench/op_bench.h"
#include "kernels/adamw.h"
#include "kernels/bias.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/grad_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace weft {
namespace {

constexpr int64_t kTokens = 1024, kModel = 768, kFfn = 2048, kVocab = 50304;

// Adds GB/s, of `bytes` read or written an iteration. (A store to memory that is not in the cache also reads it: a
// memcpy counted so moves 3 bytes for each one copied; that third is not counted.)
void SetGigabytes(benchmark::State& state, size_t bytes) {
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(bytes) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

DType FloatType(int64_t is_bf16) { return is_bf16 ? DType::kBF16 : DType::kF32; }

Tensor RandomTokens(int64_t num_tokens, int64_t vocab) {
  Tensor tokens({num_tokens}, DType::kI32);
  const Rng rng(StreamKey("tokens"), 0);
  for (int64_t i = 0; i < num_tokens; ++i) {
    tokens.data<int32_t>()[i] = static_cast<int32_t>(rng.Below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocab)));
  }
  return tokens;
}

// args: threads
void BM_Memcpy(benchmark::State& state) {
  const int64_t n = 64 << 20;
  ThreadPool pool(static_cast<int>(state.range(0)));
  const Tensor from = RandomTensor({n / 4}, DType::kF32);
  Tensor to = RandomTensor({n / 4}, DType::kF32);
  for (auto _ : state) {
    pool.ParallelFor(n, 64, [&](int64_t begin, int64_t end) {
      std::memcpy(static_cast<char*>(to.view().raw()) + begin, static_cast<const char*>(from.view().raw()) + begin,
                  static_cast<size_t>(end - begin));
    });
  }
  SetGigabytes(state, 2 * static_cast<size_t>(n));
}
BENCHMARK(BM_Memcpy)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

// args: with a bf16 copy, threads
void BM_AdamW(benchmark::State& state) {
  const int64_t n = 8 << 20;
  BenchStream stream(static_cast<int>(state.range(1)));
  Tensor param = RandomTensor({n}, DType::kF32), m = RandomTensor({n}, DType::kF32), v({n}, DType::kF32);
  Tensor weight = RandomTensor({n}, DType::kBF16), grad_scale({1}, DType::kF32);
  const Tensor grad = RandomTensor({n}, DType::kF32);
  for (int64_t i = 0; i < n; ++i) v.data<float>()[i] = 1e-3f;
  grad_scale.data<float>()[0] = 1;
  AdamWArgs args{.param = param, .grad = grad, .m = m, .v = v, .weight = state.range(0) ? weight.view() : TensorView(),
                 .grad_scale = grad_scale, .lr = 1e-4, .weight_decay = 0.1};
  for (auto _ : state) {
    AdamW(*stream, args);
    ++args.step;
  }
  SetGigabytes(state, static_cast<size_t>(n) * (state.range(0) ? 30 : 28));
}
BENCHMARK(BM_AdamW)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_SumSquares(benchmark::State& state) {
  BenchStream stream(static_cast<int>(state.range(0)));
  const Tensor x = RandomTensor({16 << 20}, DType::kF32);
  Tensor out({1}, DType::kF32);
  for (auto _ : state) SumSquares(*stream, {.x = x, .out = out});
  SetGigabytes(state, x.num_bytes());
}
BENCHMARK(BM_SumSquares)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

// args: from bf16, to bf16, threads
void BM_Cast(benchmark::State& state) {
  BenchStream stream(static_cast<int>(state.range(2)));
  const Tensor from = RandomTensor({16 << 20}, FloatType(state.range(0)));
  Tensor to = RandomTensor({16 << 20}, FloatType(state.range(1)));
  for (auto _ : state) Cast(*stream, {.from = from, .to = to});
  SetGigabytes(state, from.num_bytes() + to.num_bytes());
}
BENCHMARK(BM_Cast)->ArgNames({"from_bf16", "to_bf16", "threads"})->ArgsProduct({{0, 1}, {0, 1}, {1, 2}})->UseRealTime();

// args: bf16, threads
void BM_RmsNormForward(benchmark::State& state) {
  const DType dtype = FloatType(state.range(0));
  const Shape shape{16 * kTokens, kModel};
  BenchStream stream(static_cast<int>(state.range(1)));
  const Tensor x = RandomTensor(shape, dtype), delta = RandomTensor(shape, dtype);
  const Tensor weight = RandomTensor({kModel}, dtype);
  Tensor sum = RandomTensor(shape, dtype), y = RandomTensor(shape, dtype), rstd({shape[0]}, DType::kF32);
  for (auto _ : state) {
    RmsNormForward(*stream, {.x = x, .delta = delta, .weight = weight, .sum = sum, .y = y, .rstd = rstd, .eps = 1e-6f});
  }
  SetGigabytes(state, 4 * x.num_bytes());
}
BENCHMARK(BM_RmsNormForward)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_RmsNormBackward(benchmark::State& state) {
  const DType dtype = FloatType(state.range(0));
  const Shape shape{16 * kTokens, kModel};
  BenchStream stream(static_cast<int>(state.range(1)));
  const Tensor dy = RandomTensor(shape, dtype), dsum = RandomTensor(shape, dtype), x = RandomTensor(shape, dtype);
  const Tensor weight = RandomTensor({kModel}, dtype), rstd = RandomTensor({shape[0]}, DType::kF32);
  Tensor dx = RandomTensor(shape, dtype), dweight = RandomTensor({kModel}, DType::kF32);
  for (auto _ : state) {
    RmsNormBackward(*stream, {.dy = dy, .dsum = dsum, .x = x, .weight = weight, .rstd = rstd, .dx = dx,
                              .dweight = dweight});
  }
  SetGigabytes(state, 4 * x.num_bytes());
}
BENCHMARK(BM_RmsNormBackward)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_SwigluForward(benchmark::State& state) {
  const DType dtype = FloatType(state.range(0));
  BenchStream stream(static_cast<int>(state.range(1)));
  const Tensor gate_up = RandomTensor({8 * kTokens, 2 * kFfn}, dtype);
  Tensor y = RandomTensor({8 * kTokens, kFfn}, dtype);
  for (auto _ : state) SwigluForward(*stream, {.gate_up = gate_up, .y = y});
  SetGigabytes(state, gate_up.num_bytes() + y.num_bytes());
}
BENCHMARK(BM_SwigluForward)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_SwigluBackward(benchmark::State& state) {
  const DType dtype = FloatType(state.range(0));
  BenchStream stream(static_cast<int>(state.range(1)));
  const Tensor gate_up = RandomTensor({4 * kTokens, 2 * kFfn}, dtype), dy = RandomTensor({4 * kTokens, kFfn}, dtype);
  Tensor dgate_up = RandomTensor({4 * kTokens, 2 * kFfn}, dtype);
  for (auto _ : state) SwigluBackward(*stream, {.dy = dy, .gate_up = gate_up, .dgate_up = dgate_up});
  SetGigabytes(state, dy.num_bytes() + 2 * gate_up.num_bytes());
}
BENCHMARK(BM_SwigluBackward)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_Rope(benchmark::State& state) {
  BenchStream stream(static_cast<int>(state.range(1)));
  Tensor x = RandomTensor({16 * kTokens, 3 * kModel}, FloatType(state.range(0)));
  const Tensor positions = RandomTokens(16 * kTokens, kTokens);
  const Tensor cos = RandomTensor({kTokens, 32}, DType::kF32), sin = RandomTensor({kTokens, 32}, DType::kF32);
  const RopeArgs args{.x = {.rows = x, .column = 0, .num_heads = 24, .head_dim = 64}, .positions = positions,
                      .cos = cos, .sin = sin};
  for (auto _ : state) Rope(*stream, args);
  SetGigabytes(state, 2 * x.num_bytes() / 3 * 2);
}
BENCHMARK(BM_Rope)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_CrossEntropy(benchmark::State& state) {
  const int64_t rows = 256;
  BenchStream stream(static_cast<int>(state.range(1)));
  Tensor logits = RandomTensor({rows, kVocab}, FloatType(state.range(0)));
  const Tensor targets = RandomTokens(rows, kVocab);
  Tensor weights({rows}, DType::kF32), lse({rows}, DType::kF32), target_logit({rows}, DType::kF32);
  for (int64_t i = 0; i < rows; ++i) weights.data<float>()[i] = 1;
  for (auto _ : state) {
    CrossEntropyStats(*stream, {.logits = logits, .targets = targets, .lse = lse, .target_logit = target_logit});
    CrossEntropyGrad(*stream, {.logits = logits, .targets = targets, .weights = weights, .lse = lse});
  }
  SetGigabytes(state, 3 * logits.num_bytes());
}
BENCHMARK(BM_CrossEntropy)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_BiasGrad(benchmark::State& state) {
  BenchStream stream(static_cast<int>(state.range(1)));
  const Tensor dy = RandomTensor({16 * kTokens, kModel}, FloatType(state.range(0)));
  Tensor dbias = RandomTensor({kModel}, DType::kF32);
  for (auto _ : state) BiasGrad(*stream, {.dy = dy, .dbias = dbias});
  SetGigabytes(state, dy.num_bytes());
}
BENCHMARK(BM_BiasGrad)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

void BM_EmbeddingBackward(benchmark::State& state) {
  BenchStream stream(static_cast<int>(state.range(1)));
  const Tensor tokens = RandomTokens(8 * kTokens, kVocab);
  const Tensor dy = RandomTensor({8 * kTokens, kModel}, FloatType(state.range(0)));
  Tensor dtable = RandomTensor({kVocab, kModel}, DType::kF32);
  for (auto _ : state) EmbeddingBackward(*stream, {.tokens = tokens, .dy = dy, .dtable = dtable});
  SetGigabytes(state, dy.num_bytes() + static_cast<size_t>(dy.num_elements()) * 8);
}
BENCHMARK(BM_EmbeddingBackward)->ArgNames({"bf16", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();

}  // namespace
}  // namespace weft
