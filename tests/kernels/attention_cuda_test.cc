// Attention on CUDA, both ways: the plain kernel and cuDNN's against the definition in f64, and cuDNN against the plain
// kernel at sizes where backward is cut into groups of documents and of heads.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/cuda_device.h"
#include "core/str_cat.h"
#include "kernels/attention.h"
#include "kernels/cuda/attention_cudnn.h"
#include "kernels/cuda/attention_plain.h"
#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct AttentionCase {
  std::vector<int64_t> lengths;  // of the documents
  int64_t heads, kv_heads, qk_dim, v_dim;
  DType dtype;

  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }
  int64_t k_column() const { return heads * qk_dim; }
  int64_t v_column() const { return k_column() + kv_heads * qk_dim; }
  int64_t width() const { return v_column() + kv_heads * v_dim; }  // of the fused rows [q | k | v]
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(qk_dim)); }
  std::string Name() const {
    return StrCat("T", tokens(), " N", lengths.size(), " H", heads, " K", kv_heads, " Q", qk_dim, " Qv", v_dim, " ",
                  DTypeName(dtype));
  }
  Values CuSeqlens() const {
    Values values{{static_cast<int64_t>(lengths.size()) + 1}, DType::kI32, {0}};
    for (int64_t length : lengths) values.data.push_back(values.data.back() + static_cast<double>(length));
    return values;
  }
};

// The definition, in f64, and its gradients.
struct Reference {
  std::vector<double> out, lse, dqkv;  // [T, H Qv], [H, T], [T, W]
};

Reference Compute(const AttentionCase& c, const Values& qkv, const Values& dout) {
  const int64_t tokens = c.tokens(), group = c.heads / c.kv_heads;
  Reference r{std::vector<double>(tokens * c.heads * c.v_dim), std::vector<double>(c.heads * tokens),
              std::vector<double>(qkv.data.size())};
  const Values cu = c.CuSeqlens();
  std::vector<double> p(tokens), dp(tokens);
  for (size_t document = 0; document < c.lengths.size(); ++document) {
    const auto begin = static_cast<int64_t>(cu.data[document]), end = static_cast<int64_t>(cu.data[document + 1]);
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t q_at = i * c.width() + h * c.qk_dim, out_at = (i * c.heads + h) * c.v_dim;
        const auto k_at = [&](int64_t j) { return j * c.width() + c.k_column() + h / group * c.qk_dim; };
        const auto v_at = [&](int64_t j) { return j * c.width() + c.v_column() + h / group * c.v_dim; };
        double sum = 0;
        for (int64_t j = begin; j <= i; ++j) {
          double score = 0;
          for (int64_t x = 0; x < c.qk_dim; ++x) score += qkv.data[q_at + x] * qkv.data[k_at(j) + x];
          p[j] = std::exp(score * c.scale());
          sum += p[j];
        }
        r.lse[h * tokens + i] = std::log(sum);
        double delta = 0;
        for (int64_t j = begin; j <= i; ++j) {
          p[j] /= sum;
          dp[j] = 0;
          for (int64_t x = 0; x < c.v_dim; ++x) {
            r.out[out_at + x] += p[j] * qkv.data[v_at(j) + x];
            dp[j] += dout.data[out_at + x] * qkv.data[v_at(j) + x];
            r.dqkv[v_at(j) + x] += p[j] * dout.data[out_at + x];
          }
          delta += p[j] * dp[j];
        }
        for (int64_t j = begin; j <= i; ++j) {
          const double ds = p[j] * (dp[j] - delta) * c.scale();
          for (int64_t x = 0; x < c.qk_dim; ++x) {
            r.dqkv[q_at + x] += ds * qkv.data[k_at(j) + x];
            r.dqkv[k_at(j) + x] += ds * qkv.data[q_at + x];
          }
        }
      }
    }
  }
  return r;
}

template <typename View, typename HeadsType>
struct Fused {
  HeadsType q, k, v;
  Fused(const AttentionCase& c, View rows)
      : q{rows, 0, c.heads, c.qk_dim}, k{rows, c.k_column(), c.kv_heads, c.qk_dim},
        v{rows, c.v_column(), c.kv_heads, c.v_dim} {}
};

bool Forward(OpRun& run, bool plain, const AttentionForwardArgs& args) {
  if (!plain) return cuda::AttentionForwardCudnn(run.stream(), args);
  cuda::AttentionForwardPlain(run.stream(), args);
  return true;
}

bool Backward(OpRun& run, bool plain, const AttentionBackwardArgs& args) {
  if (!plain) return cuda::AttentionBackwardCudnn(run.stream(), args);
  cuda::AttentionBackwardPlain(run.stream(), args);
  return true;
}

void RunCase(OpRun& run, const AttentionCase& c, bool plain) {
  if (!run.target().device.is_cuda()) return;
  const int64_t tokens = c.tokens(), out_width = c.heads * c.v_dim;
  const Values qkv = run.Normal({tokens, c.width()}, c.dtype), dout = run.Normal({tokens, out_width}, c.dtype);
  const Reference reference = Compute(c, qkv, dout);
  Values out_in{{tokens, out_width}, c.dtype, reference.out}, lse_in{{c.heads, tokens}, DType::kF32, reference.lse};
  for (double& x : out_in.data) x = RoundTo(c.dtype, x);

  const Fused<ConstTensorView, ConstHeads> in(c, run.Input(qkv));
  const Packing packing = {run.Input(c.CuSeqlens()), *std::max_element(c.lengths.begin(), c.lengths.end())};
  const TensorView out = run.Output({tokens, out_width}, c.dtype), lse = run.Output({c.heads, tokens}, DType::kF32);
  ASSERT_TRUE(Forward(run, plain,
                      {.q = in.q, .k = in.k, .v = in.v, .packing = packing, .out = {out, 0, c.heads, c.v_dim},
                       .lse = lse, .scale = c.scale()}));
  const bool exact = c.dtype == DType::kF32;
  run.Expect("out", out, exact ? 2e-6 : 5e-3, [&] { return reference.out; });
  run.Expect("lse", lse, plain ? 2e-6 : 1e-5, [&] { return reference.lse; });

  const TensorView dqkv = run.Output({tokens, c.width()}, c.dtype);
  const Fused<TensorView, Heads> gradient(c, dqkv);
  ASSERT_TRUE(Backward(run, plain,
                       {.q = in.q, .k = in.k, .v = in.v, .out = {run.Input(out_in), 0, c.heads, c.v_dim},
                        .dout = {run.Input(dout), 0, c.heads, c.v_dim}, .lse = run.Input(lse_in), .packing = packing,
                        .dq = gradient.q, .dk = gradient.k, .dv = gradient.v, .scale = c.scale()}));
  run.Expect("dqkv", dqkv, exact ? 5e-6 : 1e-2, [&] { return reference.dqkv; });
}

TEST(AttentionCudaTest, PlainKernelMatchesDefinition) {
  if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no GPU here";
  for (const AttentionCase& c : {AttentionCase{{1}, 1, 1, 8, 8, DType::kF32},
                                 AttentionCase{{15, 0, 1, 40, 17}, 4, 2, 24, 24, DType::kF32},
                                 AttentionCase{{70, 33}, 6, 2, 33, 17, DType::kF32},
                                 AttentionCase{{5, 120, 3, 0}, 8, 1, 128, 128, DType::kF32},
                                 AttentionCase{{64, 31}, 2, 2, 192, 128, DType::kF32},
                                 AttentionCase{{50, 0, 27}, 4, 2, 20, 20, DType::kBF16},
                                 AttentionCase{{90, 7}, 4, 4, 256, 256, DType::kBF16}}) {
    RunOnTargets(c.Name(), [&](OpRun& run) { RunCase(run, c, /*plain=*/true); });
  }
}

TEST(AttentionCudaTest, CudnnMatchesDefinition) {
  if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no GPU here";
  for (const AttentionCase& c : {AttentionCase{{256}, 4, 4, 64, 64, DType::kBF16},
                                 AttentionCase{{256}, 8, 2, 128, 128, DType::kBF16},
                                 AttentionCase{{100, 1, 155}, 4, 2, 64, 64, DType::kBF16},
                                 AttentionCase{{37, 0, 200, 19, 44, 0}, 8, 2, 128, 128, DType::kBF16},
                                 AttentionCase{{130, 7, 3}, 6, 1, 80, 80, DType::kBF16},
                                 AttentionCase{{3, 2, 1, 58}, 2, 1, 16, 16, DType::kBF16},
                                 AttentionCase{{129, 127}, 4, 2, 128, 64, DType::kBF16}}) {
    RunOnTargets(c.Name(), [&](OpRun& run) { RunCase(run, c, /*plain=*/false); });
  }
}

// Relative difference of two tensors of one shape.
double Difference(OpRun& run, const TensorView& a, const TensorView& b) {
  const Values x = run.Read(a), y = run.Read(b);
  double error = 0, norm = 0;
  for (size_t i = 0; i < x.data.size(); ++i) {
    error += (x.data[i] - y.data[i]) * (x.data[i] - y.data[i]);
    norm += y.data[i] * y.data[i];
  }
  return std::sqrt(error / norm);
}

TEST(AttentionCudaTest, CudnnInGroupsMatchesPlainKernel) {
  if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no GPU here";
  AttentionCase documents{{4001}, 16, 4, 64, 64, DType::kBF16};  // 16 slots of 4,096: 8 GiB of scores
  for (int i = 0; i < 12; ++i) documents.lengths.push_back(i % 3);
  const AttentionCase heads{{8000, 192}, 40, 8, 64, 64, DType::kBF16};  // a slot of 8,192: 5 GiB
  for (const AttentionCase& c : {documents, heads}) {
    RunOnTargets(c.Name(), [&](OpRun& run) {
      if (!run.target().device.is_cuda()) return;
      const int64_t tokens = c.tokens(), out_width = c.heads * c.v_dim;
      const Fused<ConstTensorView, ConstHeads> in(c, run.Input(run.Normal({tokens, c.width()}, c.dtype)));
      const ConstHeads dout{run.Input(run.Normal({tokens, out_width}, c.dtype)), 0, c.heads, c.v_dim};
      const Packing packing = {run.Input(c.CuSeqlens()), tokens};
      TensorView out[2], lse[2], dqkv[2];
      for (bool plain : {false, true}) {
        out[plain] = run.Output({tokens, out_width}, c.dtype);
        lse[plain] = run.Output({c.heads, tokens}, DType::kF32);
        dqkv[plain] = run.Output({tokens, c.width()}, c.dtype);
        const Fused<TensorView, Heads> gradient(c, dqkv[plain]);
        const Heads out_heads = {out[plain], 0, c.heads, c.v_dim};
        ASSERT_TRUE(Forward(run, plain, {.q = in.q, .k = in.k, .v = in.v, .packing = packing, .out = out_heads,
                                         .lse = lse[plain], .scale = c.scale()}));
        ASSERT_TRUE(Backward(run, plain, {.q = in.q, .k = in.k, .v = in.v, .out = out_heads, .dout = dout,
                                          .lse = lse[plain], .packing = packing, .dq = gradient.q, .dk = gradient.k,
                                          .dv = gradient.v, .scale = c.scale()}));
      }
      EXPECT_LT(Difference(run, out[false], out[true]), 5e-3);
      EXPECT_LT(Difference(run, lse[false], lse[true]), 1e-5);
      EXPECT_LT(Difference(run, dqkv[false], dqkv[true]), 1e-2);
    });
  }
}

}  // namespace
}  // namespace weft
