// The three steps of cross-entropy against f64 and finite differences, whole and cut over the vocabulary
// (kernels/cross_entropy.h).
#include "kernels/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> LogSumExp(const std::vector<double>& logits, size_t vocab) {
  std::vector<double> lse;
  for (size_t begin = 0; begin < logits.size(); begin += vocab) {
    double max = -kInfinity, sum = 0;
    for (size_t i = 0; i < vocab; ++i) max = std::max(max, logits[begin + i]);
    for (size_t i = 0; i < vocab; ++i) sum += std::exp(logits[begin + i] - max);
    lse.push_back(max + std::log(sum));
  }
  return lse;
}

double Loss(const std::vector<double>& logits, const std::vector<double>& targets, const std::vector<double>& weights) {
  const size_t vocab = logits.size() / targets.size();
  const std::vector<double> lse = LogSumExp(logits, vocab);
  double loss = 0;
  for (size_t row = 0; row < targets.size(); ++row) {
    if (weights[row] == 0) continue;
    loss += weights[row] * (lse[row] - logits[row * vocab + static_cast<size_t>(targets[row])]);
  }
  return loss;
}

const std::vector<Shape> kShapes = {{1, 1}, {3, 17}, {17, 33}, {33, 65}, {7, 130}, {2, 5000}};

TEST(CrossEntropy, StatsAndLoss) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Shape rows{shape[0]};
        const Values logits = run.Normal(shape, dtype, 4), targets = run.Integers(rows, 0, shape[1]);
        const Values weights = run.Uniform(rows, DType::kF32, 0, 2), before = run.Normal({1}, DType::kF32);
        const TensorView lse = run.Output(rows, DType::kF32), target_logit = run.Output(rows, DType::kF32);
        const TensorView loss = run.InOut(before);
        CrossEntropyStats(run.stream(), {.logits = run.Input(logits), .targets = run.Input(targets), .lse = lse,
                                         .target_logit = target_logit});
        CrossEntropyLoss(run.stream(), {.lse = lse, .target_logit = target_logit, .weights = run.Input(weights),
                                        .loss_sum = loss});
        run.Expect("lse", lse, Tolerance(DType::kF32),
                   [&] { return LogSumExp(logits.data, static_cast<size_t>(shape[1])); });
        run.Expect("target_logit", target_logit, 0, [&] {
          std::vector<double> picked;
          for (double target : targets.data) {
            picked.push_back(logits.data[picked.size() * static_cast<size_t>(shape[1]) + static_cast<size_t>(target)]);
          }
          return picked;
        });
        run.Expect("loss", loss, Tolerance(DType::kF32), [&] {
          return std::vector<double>{before.data[0] + Loss(logits.data, targets.data, weights.data)};
        });
      });
    }
  }
}

void ExpectGradient(OpRun& run, const Shape& shape, DType dtype) {
  const Shape rows{shape[0]};
  const Values logits = run.Normal(shape, dtype, 2);
  const Values targets = run.Integers(rows, 0, shape[1]);
  Values weights = run.Uniform(rows, DType::kF32, 0.5, 2);
  weights.data.back() = shape[0] > 1 ? 0 : weights.data.back();
  const float scale = 0.25f;
  const std::vector<double> lse = LogSumExp(logits.data, static_cast<size_t>(shape[1]));
  const TensorView dlogits = run.InOut(logits);
  CrossEntropyGrad(run.stream(), {.logits = dlogits, .targets = run.Input(targets), .weights = run.Input(weights),
                                  .lse = run.Input({rows, DType::kF32, lse}), .scale = scale});
  // The exponential of a difference of f32 up to 8: its rounding, 2^-24 of that, is the relative error of the result.
  run.Expect("dlogits", dlogits, dtype == DType::kF32 ? 2e-6 : Tolerance(dtype), [&] {
    std::vector<double> gradient =
        NumericGradient([&](const auto& v) { return Loss(v, targets.data, weights.data); }, logits.data);
    for (double& value : gradient) value *= static_cast<double>(scale);
    return gradient;
  });
}

TEST(CrossEntropy, GradientReplacesTheLogits) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : std::vector<Shape>{{3, 17}, {17, 33}, {5, 65}, {2, 130}, {1, 400}}) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) { ExpectGradient(run, shape, dtype); });
    }
  }
}

TEST(CrossEntropy, MaskedRowsGiveZerosAndNoLossWhateverTheyHold) {
  RunOnTargets("f32", [&](OpRun& run) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Values logits{{2, 3}, DType::kF32, {nan, nan, nan, 0, 0, 0}};
    const ConstTensorView targets = run.Input({{2}, DType::kI32, {-100, 1}});
    const ConstTensorView weights = run.Input({{2}, DType::kF32, {0, 1}});
    const TensorView lse = run.Output({2}, DType::kF32), target_logit = run.Output({2}, DType::kF32);
    const TensorView dlogits = run.InOut(logits), loss = run.InOut({{1}, DType::kF32, {0}});
    CrossEntropyStats(run.stream(), {.logits = dlogits, .targets = targets, .lse = lse, .target_logit = target_logit});
    CrossEntropyLoss(run.stream(), {.lse = lse, .target_logit = target_logit, .weights = weights, .loss_sum = loss});
    CrossEntropyGrad(run.stream(), {.logits = dlogits, .targets = targets, .weights = weights, .lse = lse});
    run.Expect("loss", loss, 1e-6, [] { return std::vector<double>{std::log(3.0)}; });
    run.Expect("dlogits", dlogits, 1e-6, [] { return std::vector<double>{0, 0, 0, 1 / 3.0, -2 / 3.0, 1 / 3.0}; });
  });
}

// A NaN or an infinity must reach the loss, where training looks for it.
TEST(CrossEntropy, NaNReachesTheLogSumExpAndMinusInfinityDoesNot) {
  RunOnTargets("f32", [&](OpRun& run) {
    Values logits{{4, 20}, DType::kF32, std::vector<double>(80, -kInfinity)};
    logits.data[5] = std::numeric_limits<double>::quiet_NaN();       // row 0: NaN among -infinity
    for (size_t i = 20; i < 40; ++i) logits.data[i] = 1;
    logits.data[39] = std::numeric_limits<double>::quiet_NaN();      // row 1: NaN in the tail
    logits.data[45] = 2.5;                                           // row 2: one finite value
    const TensorView lse = run.Output({4}, DType::kF32), target_logit = run.Output({4}, DType::kF32);
    CrossEntropyStats(run.stream(), {.logits = run.Input(logits),
                                     .targets = run.Input({{4}, DType::kI32, {0, 0, 5, 0}}), .lse = lse,
                                     .target_logit = target_logit});
    const std::vector<double> found = run.Read(lse).data;
    EXPECT_TRUE(std::isnan(found[0]));
    EXPECT_TRUE(std::isnan(found[1]));
    EXPECT_EQ(found[2], 2.5);
    EXPECT_EQ(found[3], -kInfinity);
  });
}

// Slices of the vocabulary, combined in between as ranks would, give the whole's numbers.
void ExpectSlicesMakeTheWhole(OpRun& run, int64_t num_slices, int64_t rows, int64_t slice_vocab) {
  const int64_t vocab = num_slices * slice_vocab;
  const Values logits = run.Normal({rows, vocab}, DType::kF32, 2), targets = run.Integers({rows}, 0, vocab);
  const ConstTensorView target_view = run.Input(targets);
  std::vector<Values> slices;
  Values parts{{num_slices, 2, rows}, DType::kF32, {}};
  for (int64_t slice = 0; slice < num_slices; ++slice) {
    Values part{{rows, slice_vocab}, DType::kF32, {}};
    for (int64_t i = 0; i < rows * slice_vocab; ++i) {
      part.data.push_back(logits.data[static_cast<size_t>(i / slice_vocab * vocab + slice * slice_vocab + i % slice_vocab)]);
    }
    const TensorView stats = run.Output({2, rows}, DType::kF32);
    CrossEntropyStats(run.stream(), {.logits = run.Input(part), .targets = target_view,
                                     .lse = stats.Rows(0, 1).Flat(), .target_logit = stats.Rows(1, 2).Flat(),
                                     .vocab_begin = slice * slice_vocab});
    const std::vector<double> found = run.Read(stats).data;
    parts.data.insert(parts.data.end(), found.begin(), found.end());
    slices.push_back(part);
  }
  const TensorView lse = run.Output({rows}, DType::kF32), target_logit = run.Output({rows}, DType::kF32);
  CrossEntropyCombine(run.stream(), {.parts = run.Input(parts), .lse = lse, .target_logit = target_logit});
  const std::vector<double> whole = LogSumExp(logits.data, static_cast<size_t>(vocab));
  run.Expect("lse", lse, Tolerance(DType::kF32), [&] { return whole; });
  run.Expect("target_logit", target_logit, 0, [&] {
    std::vector<double> picked;
    for (double target : targets.data) {
      picked.push_back(logits.data[picked.size() * static_cast<size_t>(vocab) + static_cast<size_t>(target)]);
    }
    return picked;
  });
  const int64_t begin = (num_slices - 1) * slice_vocab;
  const TensorView last = run.InOut(slices.back());
  CrossEntropyGrad(run.stream(), {.logits = last, .targets = target_view,
                                  .weights = run.Input({{rows}, DType::kF32, std::vector<double>(static_cast<size_t>(rows), 1)}),
                                  .lse = lse, .vocab_begin = begin});
  run.Expect("the last slice's gradient", last, 2e-6, [&] {
    std::vector<double> gradient;
    for (size_t i = 0; i < slices.back().data.size(); ++i) {
      const size_t row = i / static_cast<size_t>(slice_vocab);
      const double column = static_cast<double>(i % static_cast<size_t>(slice_vocab)) + static_cast<double>(begin);
      gradient.push_back(std::exp(slices.back().data[i] - whole[row]) - (targets.data[row] == column ? 1 : 0));
    }
    return gradient;
  });
}

TEST(CrossEntropy, SlicesOfTheVocabularyMakeTheWhole) {
  for (const int64_t num_slices : {1, 2, 3, 8}) {
    for (const Shape& shape : std::vector<Shape>{{1, 3}, {5, 17}, {300, 4}}) {
      RunOnTargets(StrCat(num_slices, " of ", shape.ToString()),
                   [&](OpRun& run) { ExpectSlicesMakeTheWhole(run, num_slices, shape[0], shape[1]); });
    }
  }
}

TEST(CrossEntropy, CombiningKeepsNaNAndInfinity) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  RunOnTargets("f32", [&](OpRun& run) {
    // Rows: NaN in either slice, one slice without any finite logit, both without.
    const Values parts{{2, 2, 4}, DType::kF32, {nan, 1, -kInfinity, -kInfinity, 0, 0, 0, 0,  //
                                                1, nan, 2.5, -kInfinity, 0, 0, 7, 0}};
    const TensorView lse = run.Output({4}, DType::kF32), target_logit = run.Output({4}, DType::kF32);
    CrossEntropyCombine(run.stream(), {.parts = run.Input(parts), .lse = lse, .target_logit = target_logit});
    const std::vector<double> found = run.Read(lse).data;
    EXPECT_TRUE(std::isnan(found[0]));
    EXPECT_TRUE(std::isnan(found[1]));
    EXPECT_EQ(found[2], 2.5);
    EXPECT_EQ(found[3], -kInfinity);
    EXPECT_EQ(run.Read(target_logit).data, (std::vector<double>{0, 0, 7, 0}));
  });
}

}  // namespace
}  // namespace weft
