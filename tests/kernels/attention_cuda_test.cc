// cuDNN's attention against the plain kernel, on fused rows and at sizes where its backward is cut into groups of
// documents and of heads. attention_test.cc holds both to the definition, at small sizes.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/cuda_device.h"
#include "kernels/attention.h"
#include "kernels/cuda/attention_cudnn.h"
#include "kernels/cuda/attention_plain.h"
#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct FusedCase {
  std::vector<int64_t> lengths;  // of the documents
  int64_t heads, kv_heads, head_dim;

  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }
  int64_t width() const { return (heads + 2 * kv_heads) * head_dim; }  // of rows [q | k | v]
  Packing PackingOn(OpRun& run) const {
    Values cu{{static_cast<int64_t>(lengths.size()) + 1}, DType::kI32, {0}};
    for (int64_t length : lengths) cu.data.push_back(cu.data.back() + static_cast<double>(length));
    return {run.Input(cu), tokens()};
  }
};

// The q, k and v heads of fused rows.
template <typename AnyHeads, typename View>
struct Qkv {
  AnyHeads q, k, v;
  Qkv(const FusedCase& c, View rows)
      : q{rows, 0, c.heads, c.head_dim},
        k{rows, c.heads * c.head_dim, c.kv_heads, c.head_dim},
        v{rows, (c.heads + c.kv_heads) * c.head_dim, c.kv_heads, c.head_dim} {}
};

struct Results {
  TensorView out, lse, dqkv;
};

Results Attend(OpRun& run, const FusedCase& c, const Qkv<ConstHeads, ConstTensorView>& in, const ConstHeads& dout,
               const Packing& packing, bool cudnn) {
  const int64_t tokens = c.tokens();
  const Results results = {run.Output({tokens, c.heads * c.head_dim}, DType::kBF16),
                           run.Output({c.heads, tokens}, DType::kF32), run.Output({tokens, c.width()}, DType::kBF16)};
  const Heads out = {results.out, 0, c.heads, c.head_dim};
  const Qkv<Heads, TensorView> gradient(c, results.dqkv);
  const float scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  const AttentionForwardArgs forward = {.q = in.q, .k = in.k, .v = in.v, .packing = packing, .out = out,
                                        .lse = results.lse, .scale = scale};
  const AttentionBackwardArgs backward = {.q = in.q, .k = in.k, .v = in.v, .out = out, .dout = dout,
                                          .lse = results.lse, .packing = packing, .dq = gradient.q,
                                          .dk = gradient.k, .dv = gradient.v, .scale = scale};
  if (cudnn) {
    EXPECT_TRUE(cuda::AttentionForwardCudnn(run.stream(), forward));
    EXPECT_TRUE(cuda::AttentionBackwardCudnn(run.stream(), backward));
  } else {
    cuda::AttentionForwardPlain(run.stream(), forward);
    cuda::AttentionBackwardPlain(run.stream(), backward);
  }
  return results;
}

void CompareOnCuda(const std::string& label, const FusedCase& c) {
  if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no GPU here";
  RunOnTargets(label, [&](OpRun& run) {
    if (!run.target().device.is_cuda()) return;
    const Qkv<ConstHeads, ConstTensorView> in(c, run.Input(run.Normal({c.tokens(), c.width()}, DType::kBF16)));
    const ConstHeads dout{run.Input(run.Normal({c.tokens(), c.heads * c.head_dim}, DType::kBF16)), 0, c.heads,
                          c.head_dim};
    const Packing packing = c.PackingOn(run);
    const Results plain = Attend(run, c, in, dout, packing, /*cudnn=*/false);
    const Results cudnn = Attend(run, c, in, dout, packing, /*cudnn=*/true);
    run.Expect("out", cudnn.out, 4e-3, [&] { return run.Read(plain.out).data; });
    run.Expect("lse", cudnn.lse, 2e-6, [&] { return run.Read(plain.lse).data; });
    run.Expect("dqkv", cudnn.dqkv, 8e-3, [&] { return run.Read(plain.dqkv).data; });
  });
}

TEST(AttentionCuda, CudnnIsThePlainKernelOnOneDocument) {
  CompareOnCuda("one, 64", {{256}, 4, 4, 64});
  CompareOnCuda("one, 128", {{512}, 8, 2, 128});
}
TEST(AttentionCuda, CudnnIsThePlainKernelOnManyDocuments) {
  CompareOnCuda("many, 128", {{37, 0, 200, 19, 44, 0}, 8, 2, 128});
  CompareOnCuda("many, 80", {{130, 7, 3}, 6, 1, 80});
}
// 16 slots of 4,096 tokens hold 8 GiB of scores: two groups of documents.
TEST(AttentionCuda, CudnnIsThePlainKernelInGroupsOfDocuments) {
  FusedCase c{{4001}, 16, 4, 64};
  for (int i = 0; i < 12; ++i) c.lengths.push_back(i % 3);
  CompareOnCuda("groups of documents", c);
}
// 40 heads of 8,192 tokens hold 5 GiB of scores: two groups of heads.
TEST(AttentionCuda, CudnnIsThePlainKernelInGroupsOfHeads) { CompareOnCuda("groups of heads", {{8000, 192}, 40, 8, 64}); }

}  // namespace
}  // namespace weft
