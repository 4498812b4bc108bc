// Bias and its gradient against sums in f64 (kernels/bias.h).
#include "kernels/bias.h"

#include <gtest/gtest.h>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

const std::vector<Shape> kShapes = {{1, 1}, {3, 17}, {8, 64}, {17, 33}, {33, 130}, {130, 65}};

TEST(Bias, AddsToEveryRow) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values y = run.Normal(shape, dtype), bias = run.Normal({shape[1]}, dtype);
        const TensorView out = run.InOut(y);
        AddBias(run.stream(), {.y = out, .bias = run.Input(bias)});
        run.Expect("y", out, Tolerance(dtype), [&] {
          std::vector<double> sum = y.data;
          for (size_t i = 0; i < sum.size(); ++i) sum[i] += bias.data[i % bias.data.size()];
          return sum;
        });
      });
    }
  }
}

TEST(Bias, GradientIsTheSumOverRowsAddedToWhatIsThere) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values dy = run.Normal(shape, dtype), before = run.Normal({shape[1]}, DType::kF32);
        const TensorView dbias = run.InOut(before);
        BiasGrad(run.stream(), {.dy = run.Input(dy), .dbias = dbias});
        run.Expect("dbias", dbias, Tolerance(DType::kF32), [&] {
          std::vector<double> sum = before.data;
          for (size_t i = 0; i < dy.data.size(); ++i) sum[i % sum.size()] += dy.data[i];
          return sum;
        });
      });
    }
  }
}

TEST(BiasDeathTest, NamesTheWrongArgument) {
  Tensor y({3, 4}, DType::kF32), bias({5}, DType::kF32), bf16_bias({4}, DType::kBF16);
  const auto stream = Stream::Create(Device::Cpu());
  EXPECT_DEATH(AddBias(*stream, {.y = y, .bias = bias}), "bias is \\[5\\], expected \\[4\\]");
  EXPECT_DEATH(AddBias(*stream, {.y = y, .bias = bf16_bias}), "bias is bf16, expected f32");
}

}  // namespace
}  // namespace weft
