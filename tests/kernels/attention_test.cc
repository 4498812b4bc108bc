// Attention against softmax(scale q k^T) v in f64, and its gradient against the closed form and finite differences.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/str_cat.h"
#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct AttentionCase {
  std::vector<int64_t> lengths;  // of documents
  int64_t num_heads, num_kv_heads, head_dim, v_dim;
  DType dtype = DType::kF32;

  int64_t num_tokens() const {
    int64_t n = 0;
    for (int64_t length : lengths) n += length;
    return n;
  }
  double scale() const { return 1 / std::sqrt(double(head_dim)); }
  std::string Name() const {
    std::string name = StrCat(DTypeName(dtype), " H", num_heads, " K", num_kv_heads, " Q", head_dim, " Qv", v_dim, " of");
    for (int64_t length : lengths) StrAppend(&name, " ", length);
    return name;
  }
};

constexpr int64_t kPad = 8;  // columns beside the heads, which no op may touch

// Some heads in rows of [T, kPad + num_heads * head_dim], values and their places.
struct HeadValues {
  Values rows;
  int64_t num_heads, head_dim;

  HeadValues(Values values, int64_t num_heads, int64_t head_dim)
      : rows(std::move(values)), num_heads(num_heads), head_dim(head_dim) {}
  double& at(int64_t t, int64_t h, int64_t d) {
    return rows.data[static_cast<size_t>(t * rows.shape[1] + kPad + h * head_dim + d)];
  }
  double at(int64_t t, int64_t h, int64_t d) const { return const_cast<HeadValues*>(this)->at(t, h, d); }
};

Shape RowsShape(const AttentionCase& c, int64_t num_heads, int64_t head_dim) {
  return {c.num_tokens(), kPad + num_heads * head_dim};
}

HeadValues Draw(OpRun& run, const AttentionCase& c, int64_t num_heads, int64_t head_dim) {
  return {run.Normal(RowsShape(c, num_heads, head_dim), c.dtype), num_heads, head_dim};
}

// 7 everywhere: what untouched columns must still hold.
HeadValues Sevens(const AttentionCase& c, int64_t num_heads, int64_t head_dim) {
  const Shape shape = RowsShape(c, num_heads, head_dim);
  return {Values{shape, c.dtype, std::vector<double>(static_cast<size_t>(shape.num_elements()), 7.0)}, num_heads, head_dim};
}

ConstHeads Input(OpRun& run, const HeadValues& heads) {
  return {run.Input(heads.rows), kPad, heads.num_heads, heads.head_dim};
}

Heads Output(OpRun& run, const HeadValues& heads) {
  return {run.InOut(heads.rows), kPad, heads.num_heads, heads.head_dim};
}

Packing PackingOf(OpRun& run, const AttentionCase& c) {
  Values cu_seqlens{{static_cast<int64_t>(c.lengths.size()) + 1}, DType::kI32, {0}};
  for (int64_t length : c.lengths) cu_seqlens.data.push_back(cu_seqlens.data.back() + double(length));
  return {run.Input(cu_seqlens), *std::max_element(c.lengths.begin(), c.lengths.end())};
}

// Calls body(head, kv head, query token, first token of its document).
template <typename Body>
void ForEachQuery(const AttentionCase& c, const Body& body) {
  for (int64_t h = 0; h < c.num_heads; ++h) {
    int64_t begin = 0;
    for (int64_t length : c.lengths) {
      for (int64_t t = begin; t < begin + length; ++t) body(h, h / (c.num_heads / c.num_kv_heads), t, begin);
      begin += length;
    }
  }
}

double Score(const AttentionCase& c, const HeadValues& q, const HeadValues& k, int64_t h, int64_t g, int64_t t, int64_t s) {
  double score = 0;
  for (int64_t d = 0; d < c.head_dim; ++d) score += q.at(t, h, d) * k.at(s, g, d);
  return c.scale() * score;
}

struct Forward {
  HeadValues out;
  std::vector<double> lse;  // [H, T]
};

Forward Reference(const AttentionCase& c, const HeadValues& q, const HeadValues& k, const HeadValues& v) {
  Forward result{Sevens(c, c.num_heads, c.v_dim), std::vector<double>(static_cast<size_t>(c.num_heads * c.num_tokens()))};
  ForEachQuery(c, [&](int64_t h, int64_t g, int64_t t, int64_t begin) {
    double sum = 0;
    for (int64_t d = 0; d < c.v_dim; ++d) result.out.at(t, h, d) = 0;
    for (int64_t s = begin; s <= t; ++s) {
      const double p = std::exp(Score(c, q, k, h, g, t, s));
      sum += p;
      for (int64_t d = 0; d < c.v_dim; ++d) result.out.at(t, h, d) += p * v.at(s, g, d);
    }
    for (int64_t d = 0; d < c.v_dim; ++d) result.out.at(t, h, d) /= sum;
    result.lse[static_cast<size_t>(h * c.num_tokens() + t)] = std::log(sum);
  });
  return result;
}

struct Gradient {
  HeadValues dq, dk, dv;
};

// From the same lse and out that the op is given.
Gradient Reference(const AttentionCase& c, const HeadValues& q, const HeadValues& k, const HeadValues& v,
                   const HeadValues& out, const HeadValues& dout, const std::vector<double>& lse) {
  Gradient result{Sevens(c, c.num_heads, c.head_dim), Sevens(c, c.num_kv_heads, c.head_dim),
                  Sevens(c, c.num_kv_heads, c.v_dim)};
  const auto clear = [&](HeadValues& heads) {
    for (int64_t t = 0; t < c.num_tokens(); ++t) {
      for (int64_t i = 0; i < heads.num_heads * heads.head_dim; ++i) heads.at(t, 0, i) = 0;
    }
  };
  clear(result.dq), clear(result.dk), clear(result.dv);
  ForEachQuery(c, [&](int64_t h, int64_t g, int64_t t, int64_t begin) {
    double delta = 0;
    for (int64_t d = 0; d < c.v_dim; ++d) delta += out.at(t, h, d) * dout.at(t, h, d);
    for (int64_t s = begin; s <= t; ++s) {
      const double p = std::exp(Score(c, q, k, h, g, t, s) - lse[static_cast<size_t>(h * c.num_tokens() + t)]);
      double dp = 0;
      for (int64_t d = 0; d < c.v_dim; ++d) {
        dp += dout.at(t, h, d) * v.at(s, g, d);
        result.dv.at(s, g, d) += p * dout.at(t, h, d);
      }
      const double ds = c.scale() * p * (dp - delta);
      for (int64_t d = 0; d < c.head_dim; ++d) {
        result.dq.at(t, h, d) += ds * k.at(s, g, d);
        result.dk.at(s, g, d) += ds * q.at(t, h, d);
      }
    }
  });
  return result;
}

// Probabilities come out of exp() of sums: in f32 a few times as far from exact as one rounding. In bf16 cuDNN rounds
// probabilities, and backward their gradients too.
double ForwardTolerance(DType dtype, const OpRun& run) {
  if (dtype == DType::kF32) return 2e-6;
  return run.target().device.is_cuda() ? 4e-3 : Tolerance(dtype);
}
double BackwardTolerance(DType dtype, const OpRun& run) {
  return dtype == DType::kBF16 && run.target().device.is_cuda() ? 8e-3 : ForwardTolerance(dtype, run);
}

void TestForward(const AttentionCase& c) {
  RunOnTargets(c.Name(), [&](OpRun& run) {
    const HeadValues q = Draw(run, c, c.num_heads, c.head_dim), k = Draw(run, c, c.num_kv_heads, c.head_dim),
                     v = Draw(run, c, c.num_kv_heads, c.v_dim);
    const Heads out = Output(run, Sevens(c, c.num_heads, c.v_dim));
    const TensorView lse = run.Output({c.num_heads, c.num_tokens()}, DType::kF32);
    AttentionForward(run.stream(), {.q = Input(run, q), .k = Input(run, k), .v = Input(run, v),
                                    .packing = PackingOf(run, c), .out = out, .lse = lse, .scale = float(c.scale())});
    run.Expect("out", out.rows, ForwardTolerance(c.dtype, run), [&] { return Reference(c, q, k, v).out.rows.data; });
    run.Expect("lse", lse, 1e-6, [&] { return Reference(c, q, k, v).lse; });
  });
}

// The op gets out and lse as forward leaves them: rounded to their dtypes.
void TestBackward(const AttentionCase& c) {
  RunOnTargets(c.Name(), [&](OpRun& run) {
    const HeadValues q = Draw(run, c, c.num_heads, c.head_dim), k = Draw(run, c, c.num_kv_heads, c.head_dim),
                     v = Draw(run, c, c.num_kv_heads, c.v_dim), dout = Draw(run, c, c.num_heads, c.v_dim);
    Forward forward = Reference(c, q, k, v);
    for (double& x : forward.out.rows.data) x = RoundTo(c.dtype, x);
    const Values lse{{c.num_heads, c.num_tokens()}, DType::kF32, forward.lse};
    const Heads dq = Output(run, Sevens(c, c.num_heads, c.head_dim)), dk = Output(run, Sevens(c, c.num_kv_heads, c.head_dim)),
                dv = Output(run, Sevens(c, c.num_kv_heads, c.v_dim));
    AttentionBackward(run.stream(), {.q = Input(run, q), .k = Input(run, k), .v = Input(run, v),
                                     .out = Input(run, forward.out), .dout = Input(run, dout), .lse = run.Input(lse),
                                     .packing = PackingOf(run, c), .dq = dq, .dk = dk, .dv = dv, .scale = float(c.scale())});
    const auto reference = [&] { return Reference(c, q, k, v, forward.out, dout, forward.lse); };
    run.Expect("dq", dq.rows, BackwardTolerance(c.dtype, run), [&] { return reference().dq.rows.data; });
    run.Expect("dk", dk.rows, BackwardTolerance(c.dtype, run), [&] { return reference().dk.rows.data; });
    run.Expect("dv", dv.rows, BackwardTolerance(c.dtype, run), [&] { return reference().dv.rows.data; });
  });
}

void TestBoth(AttentionCase c) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    c.dtype = dtype;
    TestForward(c);
    TestBackward(c);
  }
}

TEST(Attention, OfOneToken) { TestBoth({{1}, 1, 1, 16, 16}); }
TEST(Attention, OfOneDocumentAroundATile) {
  for (int64_t length : {3, 17, 63, 64, 65, 128, 131}) TestBoth({{length}, 2, 1, 16, 16});
}
TEST(Attention, OfPackedDocumentsSomeEmptySomeOfOneToken) { TestBoth({{0, 1, 65, 0, 33, 1, 0}, 4, 2, 16, 16}); }
TEST(Attention, OfNothingButEmptyDocuments) { TestBoth({{0, 0}, 2, 1, 16, 16}); }
TEST(Attention, WithoutGroups) { TestBoth({{70}, 3, 3, 40, 40}); }
TEST(Attention, WithOneKvHeadForAll) { TestBoth({{40, 30}, 4, 1, 64, 64}); }
TEST(Attention, OfEveryUsualHeadSize) {
  for (int64_t head_dim : {8, 16, 40, 64, 80, 128}) TestBoth({{67, 5}, 2, 1, head_dim, head_dim});
}
TEST(Attention, OfOddHeadSizes) {
  for (int64_t head_dim : {1, 3, 17, 33}) TestBoth({{66}, 2, 1, head_dim, head_dim});
}
TEST(Attention, WithVHeadsOfAnotherSize) {
  TestBoth({{70}, 2, 1, 24, 16});
  TestBoth({{70}, 2, 1, 16, 40});
}
TEST(Attention, OfALongDocument) { TestBoth({{700}, 2, 1, 16, 16}); }  // enough to be dealt out in slices

// Scores far from 0: exp of what is left after the row's largest must neither overflow nor vanish.
TEST(Attention, SurvivesLargeScores) {
  RunOnTargets("large", [&](OpRun& run) {
    const AttentionCase c{{80}, 1, 1, 16, 16, DType::kBF16};
    HeadValues q = Draw(run, c, 1, 16), k = Draw(run, c, 1, 16);
    const HeadValues v = Draw(run, c, 1, 16);
    for (double& x : q.rows.data) x *= 16;
    for (double& x : k.rows.data) x *= 8;  // scores up to +-1000
    const Heads out = Output(run, Sevens(c, 1, 16));
    const TensorView lse = run.Output({1, 80}, DType::kF32);
    AttentionForward(run.stream(), {.q = Input(run, q), .k = Input(run, k), .v = Input(run, v),
                                    .packing = PackingOf(run, c), .out = out, .lse = lse, .scale = 0.25f});
    run.Expect("out", out.rows, 3e-3, [&] {
      HeadValues shifted = Sevens(c, 1, 16);
      ForEachQuery(c, [&](int64_t h, int64_t g, int64_t t, int64_t) {
        double max = -1e300, sum = 0;
        for (int64_t s = 0; s <= t; ++s) max = std::max(max, Score(c, q, k, h, g, t, s));
        for (int64_t d = 0; d < 16; ++d) shifted.at(t, h, d) = 0;
        for (int64_t s = 0; s <= t; ++s) {
          const double p = std::exp(Score(c, q, k, h, g, t, s) - max);
          sum += p;
          for (int64_t d = 0; d < 16; ++d) shifted.at(t, h, d) += p * v.at(s, g, d);
        }
        for (int64_t d = 0; d < 16; ++d) shifted.at(t, h, d) /= sum;
      });
      return shifted.rows.data;
    });
  });
}

// The closed form above is itself the derivative of the forward above.
TEST(Attention, GradientIsThatOfFiniteDifferences) {
  const AttentionCase c{{3, 0, 5}, 2, 1, 4, 3};
  RunOnTargets("f64", [&](OpRun& run) {
    HeadValues q = Draw(run, c, 2, 4), k = Draw(run, c, 1, 4), v = Draw(run, c, 1, 3);
    HeadValues dout = Draw(run, c, 2, 3);
    for (int64_t t = 0; t < c.num_tokens(); ++t) {
      for (int64_t i = 0; i < kPad; ++i) dout.rows.data[static_cast<size_t>(t * dout.rows.shape[1] + i)] = 0;
    }
    const Forward forward = Reference(c, q, k, v);
    const Heads dq = Output(run, Sevens(c, 2, 4)), dk = Output(run, Sevens(c, 1, 4)), dv = Output(run, Sevens(c, 1, 3));
    AttentionBackward(run.stream(),
                      {.q = Input(run, q), .k = Input(run, k), .v = Input(run, v), .out = Input(run, forward.out),
                       .dout = Input(run, dout), .lse = run.Input({{2, c.num_tokens()}, DType::kF32, forward.lse}),
                       .packing = PackingOf(run, c), .dq = dq, .dk = dk, .dv = dv, .scale = float(c.scale())});
    const auto numeric = [&](HeadValues& of) {
      const std::vector<double> before = of.rows.data;
      std::vector<double> gradient = NumericGradient(
          [&](const std::vector<double>& x) {
            of.rows.data = x;
            return Dot(Reference(c, q, k, v).out.rows.data, dout.rows.data);
          },
          before);
      of.rows.data = before;
      for (int64_t t = 0; t < c.num_tokens(); ++t) {
        for (int64_t i = 0; i < kPad; ++i) gradient[static_cast<size_t>(t * of.rows.shape[1] + i)] = 7;  // untouched
      }
      return gradient;
    };
    run.Expect("dq", dq.rows, 2e-6, [&] { return numeric(q); });
    run.Expect("dk", dk.rows, 2e-6, [&] { return numeric(k); });
    run.Expect("dv", dv.rows, 2e-6, [&] { return numeric(v); });
  });
}

TEST(AttentionDeathTest, RefusesDocumentsThatDoNotFit) {
  const auto stream = Stream::Create(Device::Cpu());
  Tensor x({4, 8}, DType::kF32), out({4, 8}, DType::kF32), lse({1, 4}, DType::kF32), cu_seqlens({2}, DType::kI32);
  cu_seqlens.data<int32_t>()[0] = 0;
  cu_seqlens.data<int32_t>()[1] = 3;
  const ConstHeads heads(x.view(), 0, 1, 8);
  const AttentionForwardArgs args = {.q = heads, .k = heads, .v = heads, .packing = {cu_seqlens, 4},
                                     .out = {out, 0, 1, 8}, .lse = lse, .scale = 1};
  EXPECT_DEATH(AttentionForward(*stream, args), "tokens in documents");
}

}  // namespace
}  // namespace weft
