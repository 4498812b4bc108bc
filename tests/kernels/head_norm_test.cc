// The norm over heads, in the middle of wider rows, against f64 and finite differences (kernels/head_norm.h).
#include "kernels/head_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

constexpr float kEps = 0.3f;

// Where the heads lie: rows of `width`, `num_heads` of `head_dim` from `column` on.
struct Layout {
  int64_t num_tokens, width, column, num_heads, head_dim;

  std::string ToString() const { return StrCat(num_tokens, " x ", num_heads, " x ", head_dim, " at ", column); }
  // Calls body(index of the first element, token * num_heads + head) for every head.
  template <typename Body>
  void ForHeads(Body body) const {
    for (int64_t t = 0; t < num_tokens; ++t) {
      for (int64_t h = 0; h < num_heads; ++h) {
        body(static_cast<size_t>(t * width + column + h * head_dim), static_cast<size_t>(t * num_heads + h));
      }
    }
  }
  Shape shape() const { return {num_tokens, width}; }
};

const std::vector<Layout> kLayouts = {
    {1, 1, 0, 1, 1}, {3, 40, 5, 2, 17}, {5, 100, 0, 3, 33}, {33, 34, 2, 4, 8}, {65, 16, 0, 1, 16}};

std::vector<double> Rstd(const Layout& layout, const std::vector<double>& x) {
  std::vector<double> rstd(static_cast<size_t>(layout.num_tokens * layout.num_heads));
  const size_t n = static_cast<size_t>(layout.head_dim);
  layout.ForHeads([&](size_t first, size_t index) {
    double squares = 0;
    for (size_t i = 0; i < n; ++i) squares += x[first + i] * x[first + i];
    rstd[index] = 1 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(kEps));
  });
  return rstd;
}

// Columns outside the heads stay as they are in x.
std::vector<double> Norm(const Layout& layout, const std::vector<double>& x, const std::vector<double>& weight) {
  const std::vector<double> rstd = Rstd(layout, x);
  std::vector<double> y = x;
  layout.ForHeads([&](size_t first, size_t index) {
    for (size_t i = 0; i < weight.size(); ++i) y[first + i] = x[first + i] * rstd[index] * weight[i];
  });
  return y;
}

Heads HeadsOf(const Layout& layout, const TensorView& rows) {
  return {.rows = rows, .column = layout.column, .num_heads = layout.num_heads, .head_dim = layout.head_dim};
}

TEST(HeadNorm, ForwardInPlaceLeavesOtherColumnsAlone) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Layout& layout : kLayouts) {
      RunOnTargets(StrCat(layout.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values x = run.Normal(layout.shape(), dtype), weight = run.Normal({layout.head_dim}, dtype);
        const TensorView y = run.InOut(x), rstd = run.Output({layout.num_tokens, layout.num_heads}, DType::kF32);
        HeadNormForward(run.stream(), {.x = HeadsOf(layout, y), .weight = run.Input(weight), .y = HeadsOf(layout, y),
                                       .rstd = rstd, .eps = kEps});
        run.Expect("y", y, Tolerance(dtype), [&] { return Norm(layout, x.data, weight.data); });
        run.Expect("rstd", rstd, Tolerance(DType::kF32), [&] { return Rstd(layout, x.data); });
      });
    }
  }
}

// dx in dy's place. Outside the heads dx keeps dy, which is also the gradient of what Norm leaves alone.
TEST(HeadNorm, BackwardInPlaceIsTheGradient) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Layout& layout : kLayouts) {
      RunOnTargets(StrCat(layout.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values x = run.Normal(layout.shape(), dtype), dy = run.Normal(layout.shape(), dtype);
        const Values weight = run.Uniform({layout.head_dim}, dtype, 0.5, 1.5);
        const Values before = run.Normal({layout.head_dim}, DType::kF32);
        const Values rstd{{layout.num_tokens, layout.num_heads}, DType::kF32, Rstd(layout, x.data)};
        const TensorView dx = run.InOut(dy), dweight = run.InOut(before);
        const TensorView kept = run.InOut(x);  // Heads of an input need a TensorView; the op only reads it
        HeadNormBackward(run.stream(), {.dy = HeadsOf(layout, dx), .x = HeadsOf(layout, kept),
                                        .weight = run.Input(weight), .rstd = run.Input(rstd),
                                        .dx = HeadsOf(layout, dx), .dweight = dweight});
        run.Expect("dx", dx, Tolerance(dtype), [&] {
          return NumericGradient([&](const auto& v) { return Dot(Norm(layout, v, weight.data), dy.data); }, x.data);
        });
        run.Expect("x", kept, 0, [&] { return x.data; });
        run.Expect("dweight", dweight, Tolerance(DType::kF32), [&] {
          std::vector<double> gradient =
              NumericGradient([&](const auto& v) { return Dot(Norm(layout, x.data, v), dy.data); }, weight.data);
          for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += before.data[i];
          return gradient;
        });
      });
    }
  }
}

}  // namespace
}  // namespace weft
