// Casts, sums and scalings (kernels/elementwise.h).
#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

constexpr int64_t kSizes[] = {1, 3, 17, 33, 65, 130, 40000};  // the last is more than one thread's least part
constexpr DType kFloats[] = {DType::kF32, DType::kBF16};

TEST(Elementwise, CastRoundsToNearestEven) {
  for (DType from : kFloats) {
    for (DType to : kFloats) {
      for (int64_t n : kSizes) {
        RunOnTargets(StrCat(DTypeName(from), " to ", DTypeName(to), n), [&](OpRun& run) {
          const Values x = run.Normal({n}, from);
          const TensorView y = run.Output({n}, to);
          Cast(run.stream(), {.from = run.Input(x), .to = y});
          run.Expect("y", y, 0, [&] {
            std::vector<double> rounded = x.data;
            for (double& value : rounded) value = RoundTo(to, value);
            return rounded;
          });
        });
      }
    }
  }
}

// Halfway cases round to even, the largest f32 rounds to infinity, NaN stays NaN.
TEST(Elementwise, CastToBf16AtTheEdges) {
  RunOnTargets("edges", [&](OpRun& run) {
    const double largest = std::numeric_limits<float>::max();
    const Values x{{7}, DType::kF32, {1 + 1 / 256.0, 1 + 3 / 256.0, -(1 + 1 / 256.0), largest, -largest, 0x1p-140,
                                      std::numeric_limits<double>::quiet_NaN()}};
    const TensorView y = run.Output({7}, DType::kBF16);
    Cast(run.stream(), {.from = run.Input(x), .to = y});
    const std::vector<double> found = run.Read(y).data;
    EXPECT_EQ(found[0], 1);
    EXPECT_EQ(found[1], 1 + 4 / 256.0);
    EXPECT_EQ(found[2], -1);
    EXPECT_EQ(found[3], std::numeric_limits<double>::infinity());
    EXPECT_EQ(found[4], -std::numeric_limits<double>::infinity());
    EXPECT_EQ(found[5], RoundTo(DType::kBF16, 0x1p-140));
    EXPECT_TRUE(std::isnan(found[6]));
  });
}

TEST(Elementwise, AccumulateAddsInF32) {
  for (DType from : kFloats) {
    for (DType to : kFloats) {
      for (int64_t n : kSizes) {
        RunOnTargets(StrCat(DTypeName(from), " to ", DTypeName(to), n), [&](OpRun& run) {
          const Values x = run.Normal({n}, from), before = run.Normal({n}, to);
          const TensorView y = run.InOut(before);
          Accumulate(run.stream(), {.x = run.Input(x), .y = y});
          run.Expect("y", y, 0, [&] {
            std::vector<double> sum = x.data;
            for (size_t i = 0; i < sum.size(); ++i) sum[i] = RoundTo(to, RoundTo(DType::kF32, sum[i] + before.data[i]));
            return sum;
          });
        });
      }
    }
  }
}

TEST(Elementwise, Scale) {
  for (int64_t n : kSizes) {
    RunOnTargets(StrCat(n), [&](OpRun& run) {
      const Values before = run.Normal({n}, DType::kF32);
      const TensorView y = run.InOut(before);
      Scale(run.stream(), {.y = y, .factor = 0.3f});
      run.Expect("y", y, 0, [&] {
        std::vector<double> scaled = before.data;
        for (double& value : scaled) value = RoundTo(DType::kF32, value * static_cast<double>(0.3f));
        return scaled;
      });
    });
  }
}

}  // namespace
}  // namespace weft
