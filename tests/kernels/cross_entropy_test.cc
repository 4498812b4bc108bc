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

// Two halves of the vocabulary, reduced in between as two ranks would, give the whole's numbers.
TEST(CrossEntropy, SlicesOfTheVocabularyMakeTheWhole) {
  RunOnTargets("f32", [&](OpRun& run) {
    const int64_t vocab = 34, half = 17;
    const Values logits = run.Normal({5, vocab}, DType::kF32, 2), targets = run.Integers({5}, 0, vocab);
    const ConstTensorView target_view = run.Input(targets);
    std::vector<double> sum_exp(5, 0), picked(5, 0);
    std::vector<Values> halves;
    for (int64_t begin : {int64_t{0}, half}) {
      Values part{{5, half}, DType::kF32, {}};
      for (int64_t i = 0; i < 5 * half; ++i) {
        part.data.push_back(logits.data[static_cast<size_t>(i / half * vocab + begin + i % half)]);
      }
      const TensorView lse = run.Output({5}, DType::kF32), target_logit = run.Output({5}, DType::kF32);
      CrossEntropyStats(run.stream(), {.logits = run.Input(part), .targets = target_view, .lse = lse,
                                       .target_logit = target_logit, .vocab_begin = begin});
      const Values part_lse = run.Read(lse), part_target = run.Read(target_logit);
      for (size_t row = 0; row < 5; ++row) {
        sum_exp[row] += std::exp(part_lse.data[row]);
        picked[row] += part_target.data[row];
      }
      halves.push_back(part);
    }
    const std::vector<double> whole = LogSumExp(logits.data, static_cast<size_t>(vocab));
    Values lse{{5}, DType::kF32, {}};
    for (size_t row = 0; row < 5; ++row) {
      lse.data.push_back(std::log(sum_exp[row]));
      EXPECT_NEAR(lse.data[row], whole[row], 1e-6);
      EXPECT_EQ(picked[row], logits.data[row * static_cast<size_t>(vocab) + static_cast<size_t>(targets.data[row])]);
    }
    const TensorView second = run.InOut(halves[1]);
    CrossEntropyGrad(run.stream(), {.logits = second, .targets = target_view,
                                    .weights = run.Input({{5}, DType::kF32, {1, 1, 1, 1, 1}}), .lse = run.Input(lse),
                                    .vocab_begin = half});
    run.Expect("second half", second, 2e-6, [&] {
      std::vector<double> gradient;
      for (size_t i = 0; i < halves[1].data.size(); ++i) {
        const size_t row = i / static_cast<size_t>(half);
        const double column = static_cast<double>(i % static_cast<size_t>(half)) + static_cast<double>(half);
        gradient.push_back(std::exp(halves[1].data[i] - whole[row]) - (targets.data[row] == column ? 1 : 0));
      }
      return gradient;
    });
  });
}

}  // namespace
}  // namespace weft
