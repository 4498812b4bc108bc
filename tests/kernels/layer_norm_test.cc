// LayerNorm against its definition in f64, and its gradient against finite differences of it (kernels/layer_norm.h).
#include "kernels/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

// Large, so that a kernel that forgets it fails.
constexpr float kEps = 0.3f;

struct Stats {
  std::vector<double> mean, rstd;
};

Stats StatsOf(const std::vector<double>& x, size_t n) {
  Stats stats;
  for (size_t begin = 0; begin < x.size(); begin += n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; ++i) sum += x[begin + i];
    const double mean = sum / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i) squares += (x[begin + i] - mean) * (x[begin + i] - mean);
    stats.mean.push_back(mean);
    stats.rstd.push_back(1 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(kEps)));
  }
  return stats;
}

std::vector<double> Norm(const std::vector<double>& x, const std::vector<double>& weight, const std::vector<double>& bias) {
  const size_t n = weight.size();
  const Stats stats = StatsOf(x, n);
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = (x[i] - stats.mean[i / n]) * stats.rstd[i / n] * weight[i % n] + bias[i % n];
  return y;
}

// Rows whose mean is away from zero. Not by much where backward is tested: it starts from the mean rounded to f32.
Values Shifted(Values x, double by) {
  for (double& value : x.data) value = RoundTo(x.dtype, value + by);
  return x;
}

const std::vector<Shape> kShapes = {{1, 1}, {3, 17}, {2, 128}, {17, 33}, {33, 65}, {130, 3}, {1, 4100}};

TEST(LayerNorm, ForwardAddsTheResidualAndNormalises) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values x = Shifted(run.Normal(shape, dtype), 3), delta = run.Normal(shape, dtype);
        const Values weight = run.Uniform({shape[1]}, dtype, 0.5, 1.5), bias = run.Normal({shape[1]}, dtype);
        const TensorView sum = run.Output(shape, dtype), y = run.Output(shape, dtype);
        const TensorView mean = run.Output({shape[0]}, DType::kF32), rstd = run.Output({shape[0]}, DType::kF32);
        LayerNormForward(run.stream(), {.x = run.Input(x), .delta = run.Input(delta), .weight = run.Input(weight),
                                        .bias = run.Input(bias), .sum = sum, .y = y, .mean = mean, .rstd = rstd, .eps = kEps});
        std::vector<double> stream(x.data.size());  // as it is kept: rounded
        for (size_t i = 0; i < stream.size(); ++i) stream[i] = RoundTo(dtype, x.data[i] + delta.data[i]);
        run.Expect("sum", sum, 0, [&] { return stream; });
        run.Expect("y", y, Tolerance(dtype), [&] { return Norm(stream, weight.data, bias.data); });
        run.Expect("mean", mean, Tolerance(DType::kF32), [&] { return StatsOf(stream, weight.data.size()).mean; });
        run.Expect("rstd", rstd, Tolerance(DType::kF32), [&] { return StatsOf(stream, weight.data.size()).rstd; });
      });
    }
  }
}

TEST(LayerNorm, ForwardWithoutAndWithAliasedResidual) {
  RunOnTargets("f32", [&](OpRun& run) {
    const Shape shape{5, 33};
    const Values x = run.Normal(shape, DType::kF32), weight = run.Normal({33}, DType::kF32), bias = run.Normal({33}, DType::kF32);
    const TensorView mean = run.Output({5}, DType::kF32), rstd = run.Output({5}, DType::kF32);
    const TensorView alone = run.Output(shape, DType::kF32);
    LayerNormForward(run.stream(), {.x = run.Input(x), .delta = {}, .weight = run.Input(weight), .bias = run.Input(bias),
                                    .sum = {}, .y = alone, .mean = mean, .rstd = rstd, .eps = kEps});
    run.Expect("alone", alone, Tolerance(DType::kF32), [&] { return Norm(x.data, weight.data, bias.data); });

    const TensorView stream = run.InOut(x), aliased = run.Output(shape, DType::kF32);
    LayerNormForward(run.stream(), {.x = stream, .delta = run.Input(x), .weight = run.Input(weight), .bias = run.Input(bias),
                                    .sum = stream, .y = aliased, .mean = mean, .rstd = rstd, .eps = kEps});
    std::vector<double> twice = x.data;
    for (double& value : twice) value *= 2;
    run.Expect("sum", stream, 0, [&] { return twice; });
    run.Expect("aliased", aliased, Tolerance(DType::kF32), [&] { return Norm(twice, weight.data, bias.data); });
  });
}

struct BackwardCase {
  Shape shape;
  bool with_dsum;
};

// The gradient of Dot(Norm(x), dy) by one of Norm's arguments, added to `before`.
std::vector<double> Gradient(const std::function<double(const std::vector<double>&)>& loss, const std::vector<double>& at,
                             const std::vector<double>& before) {
  std::vector<double> gradient = NumericGradient(loss, at);
  for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += before[i];
  return gradient;
}

void ExpectGradient(OpRun& run, const BackwardCase& c, DType dtype) {
  const Shape columns{c.shape[1]};
  const Values x = Shifted(run.Normal(c.shape, dtype), 0.5), dy = run.Normal(c.shape, dtype), dsum = run.Normal(c.shape, dtype);
  const Values weight = run.Uniform(columns, dtype, 0.5, 1.5), bias = run.Normal(columns, dtype);
  const Values dweight_before = run.Normal(columns, DType::kF32), dbias_before = run.Normal(columns, DType::kF32);
  Stats stats = StatsOf(x.data, weight.data.size());
  for (double& value : stats.mean) value = RoundTo(DType::kF32, value);
  for (double& value : stats.rstd) value = RoundTo(DType::kF32, value);
  const TensorView dx = c.with_dsum ? run.InOut(dsum) : run.Output(c.shape, dtype);
  const TensorView dweight = run.InOut(dweight_before), dbias = run.InOut(dbias_before);
  LayerNormBackward(run.stream(), {.dy = run.Input(dy), .dsum = c.with_dsum ? dx : TensorView(), .x = run.Input(x),
                                   .weight = run.Input(weight), .mean = run.Input({{c.shape[0]}, DType::kF32, stats.mean}),
                                   .rstd = run.Input({{c.shape[0]}, DType::kF32, stats.rstd}), .dx = dx,
                                   .dweight = dweight, .dbias = dbias});
  const std::vector<double> none(dsum.data.size(), 0.0);
  run.Expect("dx", dx, Tolerance(dtype), [&] {
    return Gradient([&](const auto& v) { return Dot(Norm(v, weight.data, bias.data), dy.data); }, x.data,
                    c.with_dsum ? dsum.data : none);
  });
  run.Expect("dweight", dweight, Tolerance(DType::kF32), [&] {
    return Gradient([&](const auto& v) { return Dot(Norm(x.data, v, bias.data), dy.data); }, weight.data,
                    dweight_before.data);
  });
  run.Expect("dbias", dbias, Tolerance(DType::kF32), [&] {
    return Gradient([&](const auto& v) { return Dot(Norm(x.data, weight.data, v), dy.data); }, bias.data, dbias_before.data);
  });
}

TEST(LayerNorm, BackwardIsTheGradient) {
  const std::vector<BackwardCase> cases = {{{1, 1}, true},   {{3, 17}, false}, {{17, 33}, true},
                                           {{33, 65}, true}, {{130, 3}, false}, {{1100, 2}, true}};
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const BackwardCase& c : cases) {
      RunOnTargets(StrCat(c.shape.ToString(), DTypeName(dtype)), [&](OpRun& run) { ExpectGradient(run, c, dtype); });
    }
  }
}

TEST(LayerNorm, BackwardOfFrozenWeightsGivesTheSameDx) {
  RunOnTargets("f32", [&](OpRun& run) {
    const Shape shape{40, 17};
    const Values x = run.Normal(shape, DType::kF32), dy = run.Normal(shape, DType::kF32);
    const ConstTensorView weight = run.Input(run.Normal({17}, DType::kF32)), mean = run.Input(run.Normal({40}, DType::kF32));
    const ConstTensorView rstd = run.Input(run.Uniform({40}, DType::kF32, 0.5, 1));
    const TensorView dx = run.Output(shape, DType::kF32), frozen = run.Output(shape, DType::kF32);
    const TensorView dweight = run.InOut(run.Normal({17}, DType::kF32)), dbias = run.InOut(run.Normal({17}, DType::kF32));
    LayerNormBackwardArgs args{.dy = run.Input(dy), .dsum = {}, .x = run.Input(x), .weight = weight, .mean = mean,
                               .rstd = rstd, .dx = dx, .dweight = dweight, .dbias = dbias};
    LayerNormBackward(run.stream(), args);
    args.dx = frozen;
    args.dweight = args.dbias = {};
    LayerNormBackward(run.stream(), args);
    run.stream().Synchronize();
    EXPECT_EQ(run.Read(dx).data, run.Read(frozen).data);
  });
}

TEST(LayerNormDeathTest, RefusesAnAliasedOutput) {
  Tensor x({3, 4}, DType::kF32), weight({4}, DType::kF32), bias({4}, DType::kF32), mean({3}, DType::kF32), rstd({3}, DType::kF32);
  const auto stream = Stream::Create(Device::Cpu());
  EXPECT_DEATH(LayerNormForward(*stream, {.x = x, .delta = {}, .weight = weight, .bias = bias, .sum = {}, .y = x,
                                          .mean = mean, .rstd = rstd}),
               "y is an alias");
}

}  // namespace
}  // namespace weft
