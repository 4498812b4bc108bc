// Attention at the shapes of a 125M model (H 12, Q 64), packed as one fused [T, 3 * H * Q] projection.
#include "kernels/attention.h"

#include "bench/op_bench.h"

namespace weft {
namespace {

// args: tokens a document, documents, kv heads, head size, bf16, threads
struct Setup {
  explicit Setup(const benchmark::State& state)
      : length(state.range(0)), documents(state.range(1)), kv_heads(state.range(2)), head_dim(state.range(3)),
        dtype(state.range(4) ? DType::kBF16 : DType::kF32), stream(static_cast<int>(state.range(5))) {
    cu_seqlens = Tensor({documents + 1}, DType::kI32);
    for (int64_t d = 0; d <= documents; ++d) cu_seqlens.data<int32_t>()[d] = static_cast<int32_t>(d * length);
    const int64_t tokens = length * documents;
    qkv = RandomTensor({tokens, (kHeads + 2 * kv_heads) * head_dim}, dtype);
    dqkv = RandomTensor(qkv.shape(), dtype);
    out = RandomTensor({tokens, kHeads * head_dim}, dtype);
    dout = RandomTensor(out.shape(), dtype);
    lse = Tensor({kHeads, tokens}, DType::kF32);
  }
  Heads Q(Tensor& rows) { return {rows, 0, kHeads, head_dim}; }
  Heads K(Tensor& rows) { return {rows, kHeads * head_dim, kv_heads, head_dim}; }
  Heads V(Tensor& rows) { return {rows, (kHeads + kv_heads) * head_dim, kv_heads, head_dim}; }
  void Forward() {
    AttentionForward(*stream, {.q = Q(qkv), .k = K(qkv), .v = V(qkv), .packing = {cu_seqlens, length},
                               .out = Q(out), .lse = lse, .scale = 0.125f});
  }
  void Backward() {
    AttentionBackward(*stream, {.q = Q(qkv), .k = K(qkv), .v = V(qkv), .out = Q(out), .dout = Q(dout), .lse = lse,
                                .packing = {cu_seqlens, length}, .dq = Q(dqkv), .dk = K(dqkv), .dv = V(dqkv),
                                .scale = 0.125f});
  }
  // Of one product of the unmasked half of the scores, in all heads and documents.
  double ProductFlops() const { return static_cast<double>(documents * kHeads * length * length * head_dim); }

  static constexpr int64_t kHeads = 12;
  int64_t length, documents, kv_heads, head_dim;
  DType dtype;
  BenchStream stream;
  Tensor cu_seqlens, qkv, dqkv, out, dout, lse;
};

void BM_AttentionForward(benchmark::State& state) {
  Setup setup(state);
  for (auto _ : state) setup.Forward();
  SetGigaflops(state, 2 * setup.ProductFlops());
}

void BM_AttentionBackward(benchmark::State& state) {
  Setup setup(state);
  setup.Forward();
  for (auto _ : state) setup.Backward();
  SetGigaflops(state, 5 * setup.ProductFlops());
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"length", "documents", "K", "Q", "bf16", "threads"});
  for (int64_t bf16 : {0, 1}) {
    for (int64_t threads : {1, 2}) {
      benchmark->Args({1024, 1, 12, 64, bf16, threads});
      benchmark->Args({256, 4, 12, 64, bf16, threads});
      benchmark->Args({256, 1, 12, 64, bf16, threads});
      benchmark->Args({1024, 1, 4, 128, bf16, threads});
    }
  }
  benchmark->UseRealTime();
}
BENCHMARK(BM_AttentionForward)->Apply(Shapes);
BENCHMARK(BM_AttentionBackward)->Apply(Shapes);

}  // namespace
}  // namespace weft
