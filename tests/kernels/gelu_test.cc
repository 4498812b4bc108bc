// GELU against f64 and finite differences (kernels/gelu.h).
#include "kernels/gelu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

// The last one has more elements than a thread's granule. None is a single element, whose derivative may be near zero.
const std::vector<Shape> kShapes = {{1, 5}, {3, 17}, {2, 64}, {17, 33}, {130, 3}, {65, 257}};

std::vector<double> Gelu(const std::vector<double>& x) {
  std::vector<double> y;
  for (double v : x) y.push_back(0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))));
  return y;
}

// Element by element, so that large shapes stay quick.
std::vector<double> Gradient(const std::vector<double>& x, const std::vector<double>& dy) {
  std::vector<double> dx;
  for (size_t i = 0; i < x.size(); ++i) {
    dx.push_back(NumericGradient([&](const auto& v) { return Dot(Gelu(v), {dy[i]}); }, {x[i]})[0]);
  }
  return dx;
}

TEST(Gelu, ForwardAndGradient) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values x = run.Normal(shape, dtype, 2), dy = run.Normal(shape, dtype);
        const TensorView y = run.Output(shape, dtype), dx = run.Output(shape, dtype), in_place = run.InOut(x);
        GeluForward(run.stream(), {.x = run.Input(x), .y = y});
        GeluBackward(run.stream(), {.dy = run.Input(dy), .x = run.Input(x), .dx = dx});
        GeluBackward(run.stream(), {.dy = run.Input(dy), .x = in_place, .dx = in_place});
        run.Expect("y", y, Tolerance(dtype), [&] { return Gelu(x.data); });
        run.Expect("dx", dx, Tolerance(dtype), [&] { return Gradient(x.data, dy.data); });
        EXPECT_EQ(run.Read(in_place).data, run.Read(dx).data);
      });
    }
  }
}

TEST(Gelu, IsRightFarFromZero) {
  RunOnTargets("f32", [&](OpRun& run) {
    const Values x{{1, 7}, DType::kF32, {-1e6, -100, -12, 0, 12, 100, 1e6}}, ones{{1, 7}, DType::kF32, {1, 1, 1, 1, 1, 1, 1}};
    const TensorView y = run.Output({1, 7}, DType::kF32), dx = run.Output({1, 7}, DType::kF32);
    GeluForward(run.stream(), {.x = run.Input(x), .y = y});
    GeluBackward(run.stream(), {.dy = run.Input(ones), .x = run.Input(x), .dx = dx});
    run.Expect("y", y, 1e-6, [] { return std::vector<double>{0, 0, 0, 0, 12, 100, 1e6}; });
    run.Expect("dx", dx, 1e-6, [] { return std::vector<double>{0, 0, 0, 0.5, 1, 1, 1}; });
  });
}

}  // namespace
}  // namespace weft
