// Sums of squares and the clipping factor (kernels/grad_norm.h).
#include "kernels/grad_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

TEST(GradNorm, SumSquares) {
  for (int64_t n : {1, 3, 17, 33, 65, 130, 200001}) {
    RunOnTargets(StrCat(n), [&](OpRun& run) {
      const Values x = run.Normal({n}, DType::kF32, 1e-3);
      const TensorView out = run.Output({1}, DType::kF32);
      SumSquares(run.stream(), {.x = run.Input(x), .out = out});
      run.Expect("out", out, 1e-7, [&] { return std::vector<double>{Dot(x.data, x.data)}; });
    });
  }
}

// The square of 1e25 is no f32: the sum must be f64 until the end, where it is infinite in f32. NaN stays NaN.
TEST(GradNorm, SumSquaresOfHugeAndBrokenGradients) {
  RunOnTargets("huge", [&](OpRun& run) {
    Values x{{100}, DType::kF32, std::vector<double>(100, 1e-25)};
    const TensorView tiny = run.Output({1}, DType::kF32), broken = run.Output({1}, DType::kF32);
    SumSquares(run.stream(), {.x = run.Input({{2}, DType::kF32, {1e15, 1e15}}), .out = tiny});
    run.Expect("large", tiny, 1e-6, [] { return std::vector<double>{2e30}; });
    x.data[70] = std::numeric_limits<double>::quiet_NaN();
    SumSquares(run.stream(), {.x = run.Input(x), .out = broken});
    EXPECT_TRUE(std::isnan(run.Read(broken).data[0]));
  });
}

struct ClipCase {
  float max_norm;
  double scale;
};

TEST(GradNorm, ClipScaleFollowsPyTorch) {
  for (const ClipCase& c : {ClipCase{0, 1}, ClipCase{1, 1 / (13 + 1e-6)}, ClipCase{100, 1}}) {
    RunOnTargets(StrCat(c.max_norm), [&](OpRun& run) {
      const TensorView norm = run.Output({1}, DType::kF32), scale = run.Output({1}, DType::kF32);
      ClipScale(run.stream(), {.sum_squares = run.Input({{3}, DType::kF32, {25, 100, 44}}), .max_norm = c.max_norm,
                               .norm = norm, .scale = scale});
      run.Expect("norm", norm, 1e-7, [] { return std::vector<double>{13}; });
      run.Expect("scale", scale, 1e-7, [&] { return std::vector<double>{c.scale}; });
    });
  }
}

TEST(GradNorm, ClipScaleOfNaNIsNaN) {
  RunOnTargets("nan", [&](OpRun& run) {
    const TensorView norm = run.Output({1}, DType::kF32), scale = run.Output({1}, DType::kF32);
    ClipScale(run.stream(), {.sum_squares = run.Input({{1}, DType::kF32, {std::numeric_limits<double>::quiet_NaN()}}),
                             .max_norm = 1, .norm = norm, .scale = scale});
    EXPECT_TRUE(std::isnan(run.Read(norm).data[0]));
    EXPECT_TRUE(std::isnan(run.Read(scale).data[0]));
  });
}

}  // namespace
}  // namespace weft
