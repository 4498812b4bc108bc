// Rotary position embedding against its definition in f64; backward against finite differences, and as the inverse
// (kernels/rope.h).
#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct Case {
  int64_t num_tokens, width, column, num_heads, head_dim;
  Shape shape() const { return {num_tokens, width}; }
};

const std::vector<Case> kCases = {
    {1, 2, 0, 1, 2}, {3, 80, 3, 2, 34}, {17, 130, 0, 1, 130}, {33, 66, 0, 8, 8}, {65, 32, 16, 1, 16}};
constexpr int64_t kPositions = 50;

struct Tables {
  Values cos, sin;
};

// An angle of 1 radian a position for i = 0, less for others: any table will do.
Tables MakeTables(int64_t half) {
  Tables tables{{{kPositions, half}, DType::kF32, {}}, {{kPositions, half}, DType::kF32, {}}};
  for (int64_t p = 0; p < kPositions; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) / (1 + static_cast<double>(i));
      tables.cos.data.push_back(RoundTo(DType::kF32, std::cos(angle)));
      tables.sin.data.push_back(RoundTo(DType::kF32, std::sin(angle)));
    }
  }
  return tables;
}

std::vector<double> Rotate(const Case& c, const Tables& tables, const std::vector<double>& positions,
                           const std::vector<double>& x) {
  std::vector<double> y = x;
  const int64_t half = c.head_dim / 2;
  for (int64_t t = 0; t < c.num_tokens; ++t) {
    for (int64_t h = 0; h < c.num_heads; ++h) {
      for (int64_t i = 0; i < half; ++i) {
        const size_t low = static_cast<size_t>(t * c.width + c.column + h * c.head_dim + i);
        const size_t high = low + static_cast<size_t>(half);
        const size_t entry = static_cast<size_t>(static_cast<int64_t>(positions[static_cast<size_t>(t)]) * half + i);
        y[low] = x[low] * tables.cos.data[entry] - x[high] * tables.sin.data[entry];
        y[high] = x[high] * tables.cos.data[entry] + x[low] * tables.sin.data[entry];
      }
    }
  }
  return y;
}

RopeArgs Args(OpRun& run, const Case& c, const Tables& tables, const Values& positions, const TensorView& rows) {
  return {.x = {.rows = rows, .column = c.column, .num_heads = c.num_heads, .head_dim = c.head_dim},
          .positions = run.Input(positions), .cos = run.Input(tables.cos), .sin = run.Input(tables.sin)};
}

TEST(Rope, RotatesAndItsTransposeIsTheGradient) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Case& c : kCases) {
      const Tables tables = MakeTables(c.head_dim / 2);
      RunOnTargets(StrCat(c.shape().ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values x = run.Normal(c.shape(), dtype), dy = run.Normal(c.shape(), dtype);
        const Values positions = run.Integers({c.num_tokens}, 0, kPositions);
        const TensorView y = run.InOut(x), dx = run.InOut(dy);
        RopeArgs args = Args(run, c, tables, positions, y);
        Rope(run.stream(), args);
        args.x.rows = dx;
        args.transpose = true;
        Rope(run.stream(), args);
        const auto rotate = [&](const std::vector<double>& v) { return Rotate(c, tables, positions.data, v); };
        run.Expect("y", y, Tolerance(dtype), [&] { return rotate(x.data); });
        run.Expect("dx", dx, Tolerance(dtype), [&] {
          return NumericGradient([&](const auto& v) { return Dot(rotate(v), dy.data); }, x.data);
        });
      });
    }
  }
}

TEST(Rope, TransposeTurnsBack) {
  const Case c{5, 64, 0, 2, 32};
  const Tables tables = MakeTables(16);
  RunOnTargets("f32", [&](OpRun& run) {
    const Values x = run.Normal(c.shape(), DType::kF32);
    const TensorView y = run.InOut(x);
    RopeArgs args = Args(run, c, tables, run.Integers({5}, 0, kPositions), y);
    Rope(run.stream(), args);
    args.transpose = true;
    Rope(run.stream(), args);
    run.Expect("x", y, Tolerance(DType::kF32), [&] { return x.data; });
  });
}

}  // namespace
}  // namespace weft
