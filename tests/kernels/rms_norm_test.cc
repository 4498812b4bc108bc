// RMSNorm against its definition in f64, and its gradient against finite differences of it (kernels/rms_norm.h).
#include "kernels/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

// Large, so that a kernel that forgets it fails.
constexpr float kEps = 0.3f;

std::vector<double> Rstd(const std::vector<double>& x, size_t row_elements) {
  std::vector<double> rstd;
  for (size_t begin = 0; begin < x.size(); begin += row_elements) {
    double squares = 0;
    for (size_t i = 0; i < row_elements; ++i) squares += x[begin + i] * x[begin + i];
    rstd.push_back(1 / std::sqrt(squares / static_cast<double>(row_elements) + static_cast<double>(kEps)));
  }
  return rstd;
}

std::vector<double> Norm(const std::vector<double>& x, const std::vector<double>& weight) {
  const size_t n = weight.size();
  const std::vector<double> rstd = Rstd(x, n);
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * rstd[i / n] * weight[i % n];
  return y;
}

const std::vector<Shape> kShapes = {{1, 1}, {3, 17}, {2, 128}, {17, 33}, {33, 65}, {130, 3}, {1, 4100}};

TEST(RmsNorm, ForwardAddsTheResidualAndNormalises) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values x = run.Normal(shape, dtype), delta = run.Normal(shape, dtype);
        const Values weight = run.Uniform({shape[1]}, dtype, 0.5, 1.5);
        const TensorView sum = run.Output(shape, dtype), y = run.Output(shape, dtype);
        const TensorView rstd = run.Output({shape[0]}, DType::kF32);
        RmsNormForward(run.stream(), {.x = run.Input(x), .delta = run.Input(delta), .weight = run.Input(weight),
                                      .sum = sum, .y = y, .rstd = rstd, .eps = kEps});
        std::vector<double> stream(x.data.size());  // as it is kept: rounded
        for (size_t i = 0; i < stream.size(); ++i) stream[i] = RoundTo(dtype, x.data[i] + delta.data[i]);
        run.Expect("sum", sum, 0, [&] { return stream; });
        run.Expect("y", y, Tolerance(dtype), [&] { return Norm(stream, weight.data); });
        run.Expect("rstd", rstd, Tolerance(DType::kF32), [&] { return Rstd(stream, weight.data.size()); });
      });
    }
  }
}

TEST(RmsNorm, ForwardWithoutAndWithAliasedResidual) {
  RunOnTargets("f32", [&](OpRun& run) {
    const Shape shape{5, 33};
    const Values x = run.Normal(shape, DType::kF32), weight = run.Normal({33}, DType::kF32);
    const Values zero{shape, DType::kF32, std::vector<double>(5 * 33, 0.0)};
    const TensorView alone = run.Output(shape, DType::kF32), rstd = run.Output({5}, DType::kF32);
    RmsNormForward(run.stream(), {.x = run.Input(x), .delta = {}, .weight = run.Input(weight), .sum = {}, .y = alone,
                                  .rstd = rstd, .eps = kEps});
    run.Expect("alone", alone, Tolerance(DType::kF32), [&] { return Norm(x.data, weight.data); });

    const TensorView stream = run.InOut(x), aliased = run.Output(shape, DType::kF32);
    RmsNormForward(run.stream(), {.x = stream, .delta = run.Input(x), .weight = run.Input(weight), .sum = stream,
                                  .y = aliased, .rstd = rstd, .eps = kEps});
    std::vector<double> twice = x.data;
    for (double& value : twice) value *= 2;
    run.Expect("sum", stream, 0, [&] { return twice; });
    run.Expect("aliased", aliased, Tolerance(DType::kF32), [&] { return Norm(twice, weight.data); });
  });
}

struct BackwardCase {
  Shape shape;
  bool with_dsum;
};

void ExpectGradient(OpRun& run, const BackwardCase& c, DType dtype) {
  const Values x = run.Normal(c.shape, dtype), dy = run.Normal(c.shape, dtype), dsum = run.Normal(c.shape, dtype);
  const Values weight = run.Uniform({c.shape[1]}, dtype, 0.5, 1.5);
  const Values before = run.Normal({c.shape[1]}, DType::kF32);
  std::vector<double> rstd = Rstd(x.data, weight.data.size());
  for (double& value : rstd) value = RoundTo(DType::kF32, value);
  const TensorView dx = c.with_dsum ? run.InOut(dsum) : run.Output(c.shape, dtype);
  const TensorView dweight = run.InOut(before);
  RmsNormBackward(run.stream(), {.dy = run.Input(dy), .dsum = c.with_dsum ? dx : TensorView(), .x = run.Input(x),
                                 .weight = run.Input(weight),
                                 .rstd = run.Input({{c.shape[0]}, DType::kF32, rstd}), .dx = dx, .dweight = dweight});
  run.Expect("dx", dx, Tolerance(dtype), [&] {
    std::vector<double> gradient =
        NumericGradient([&](const auto& v) { return Dot(Norm(v, weight.data), dy.data); }, x.data);
    for (size_t i = 0; c.with_dsum && i < gradient.size(); ++i) gradient[i] += dsum.data[i];
    return gradient;
  });
  run.Expect("dweight", dweight, Tolerance(DType::kF32), [&] {
    std::vector<double> gradient =
        NumericGradient([&](const auto& v) { return Dot(Norm(x.data, v), dy.data); }, weight.data);
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += before.data[i];
    return gradient;
  });
}

TEST(RmsNorm, BackwardIsTheGradient) {
  const std::vector<BackwardCase> cases = {{{1, 1}, true},   {{3, 17}, false}, {{17, 33}, true},
                                           {{33, 65}, true}, {{130, 3}, false}, {{1100, 2}, true}};
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const BackwardCase& c : cases) {
      RunOnTargets(StrCat(c.shape.ToString(), DTypeName(dtype)), [&](OpRun& run) { ExpectGradient(run, c, dtype); });
    }
  }
}

TEST(RmsNorm, BackwardOfAFrozenWeightGivesTheSameDx) {
  RunOnTargets("f32", [&](OpRun& run) {
    const Shape shape{40, 17};
    const Values x = run.Normal(shape, DType::kF32), dy = run.Normal(shape, DType::kF32);
    const ConstTensorView weight = run.Input(run.Normal({17}, DType::kF32));
    const ConstTensorView rstd = run.Input(run.Uniform({40}, DType::kF32, 0.5, 1));
    const TensorView dx = run.Output(shape, DType::kF32), frozen = run.Output(shape, DType::kF32);
    const TensorView dweight = run.InOut(run.Normal({17}, DType::kF32));
    RmsNormBackwardArgs args{.dy = run.Input(dy), .dsum = {}, .x = run.Input(x), .weight = weight, .rstd = rstd,
                             .dx = dx, .dweight = dweight};
    RmsNormBackward(run.stream(), args);
    args.dx = frozen;
    args.dweight = {};
    RmsNormBackward(run.stream(), args);
    run.stream().Synchronize();
    EXPECT_EQ(run.Read(dx).data, run.Read(frozen).data);
  });
}

TEST(RmsNormDeathTest, RefusesAnAliasedOutput) {
  Tensor x({3, 4}, DType::kF32), weight({4}, DType::kF32), rstd({3}, DType::kF32);
  const auto stream = Stream::Create(Device::Cpu());
  EXPECT_DEATH(RmsNormForward(*stream, {.x = x, .delta = {}, .weight = weight, .sum = {}, .y = x, .rstd = rstd}),
               "y is an alias");
}

}  // namespace
}  // namespace weft
