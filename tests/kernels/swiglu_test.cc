// SwiGLU against f64 and finite differences (kernels/swiglu.h).
#include "kernels/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

const std::vector<Shape> kShapes = {{1, 1}, {3, 17}, {2, 64}, {17, 33}, {33, 65}, {130, 3}};  // [T, F]

std::vector<double> Swiglu(const std::vector<double>& gate_up, size_t ffn) {
  std::vector<double> y(gate_up.size() / 2);
  for (size_t i = 0; i < y.size(); ++i) {
    const double gate = gate_up[i / ffn * 2 * ffn + i % ffn], up = gate_up[i / ffn * 2 * ffn + ffn + i % ffn];
    y[i] = gate / (1 + std::exp(-gate)) * up;
  }
  return y;
}

TEST(Swiglu, ForwardAndGradient) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      const size_t ffn = static_cast<size_t>(shape[1]);
      RunOnTargets(StrCat(shape.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values gate_up = run.Normal({shape[0], 2 * shape[1]}, dtype, 3), dy = run.Normal(shape, dtype);
        const TensorView y = run.Output(shape, dtype), dgate_up = run.Output(gate_up.shape, dtype);
        const TensorView in_place = run.InOut(gate_up);
        SwigluForward(run.stream(), {.gate_up = run.Input(gate_up), .y = y});
        SwigluBackward(run.stream(), {.dy = run.Input(dy), .gate_up = run.Input(gate_up), .dgate_up = dgate_up});
        SwigluBackward(run.stream(), {.dy = run.Input(dy), .gate_up = in_place, .dgate_up = in_place});
        run.Expect("y", y, Tolerance(dtype), [&] { return Swiglu(gate_up.data, ffn); });
        const auto gradient = [&] {
          return NumericGradient([&](const auto& v) { return Dot(Swiglu(v, ffn), dy.data); }, gate_up.data);
        };
        run.Expect("dgate_up", dgate_up, Tolerance(dtype), gradient);
        EXPECT_EQ(run.Read(in_place).data, run.Read(dgate_up).data);
      });
    }
  }
}

TEST(Swiglu, IsRightFarFromZero) {
  RunOnTargets("f32", [&](OpRun& run) {
    const Values gate_up{{1, 12}, DType::kF32, {-200, -100, -60, 60, 100, 200, 1, 1, 1, 1, 1, 1}};
    const TensorView y = run.Output({1, 6}, DType::kF32), dgate_up = run.Output({1, 12}, DType::kF32);
    SwigluForward(run.stream(), {.gate_up = run.Input(gate_up), .y = y});
    SwigluBackward(run.stream(), {.dy = run.Input({{1, 6}, DType::kF32, {1, 1, 1, 1, 1, 1}}),
                                  .gate_up = run.Input(gate_up), .dgate_up = dgate_up});
    run.Expect("y", y, 1e-6, [] { return std::vector<double>{0, 0, -60 * std::exp(-60.0), 60, 100, 200}; });
    run.Expect("dgate_up", dgate_up, 1e-6, [] {
      return std::vector<double>{0, 0, 0, 1, 1, 1, 0, 0, 0, 60, 100, 200};
    });
  });
}

}  // namespace
}  // namespace weft
