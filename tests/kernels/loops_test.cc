// The inner loops themselves, on every instruction set: the accuracy of their exponential (kernels/cpu/loops.h).
#include "kernels/cpu/loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {

std::vector<IsaLevel> Levels() {
  std::vector<IsaLevel> levels;
  for (IsaLevel level : {IsaLevel::kPortable, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
    if (level <= HostIsa()) levels.push_back(level);
  }
  return levels;
}

// e^x, through the loop that makes a softmax: 1 * e^(x - 0).
std::vector<float> ExpOf(std::vector<float> x) {
  HostLoops().f32.scaled_softmax(0, 1, static_cast<int64_t>(x.size()), x.data());
  return x;
}

TEST(Loops, ExpIsRightToAboutAUnitInTheLastPlace) {
  std::vector<float> x;
  for (double value = -86.5; value < 88.72; value += 0.0017) x.push_back(static_cast<float>(value));
  for (double value = 1e-8; value < 1; value *= 1.1) {
    x.push_back(static_cast<float>(value));
    x.push_back(static_cast<float>(-value));
  }
  for (IsaLevel level : Levels()) {
    const ScopedIsaLimit limit(level);
    const std::vector<float> y = ExpOf(x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) / unit);
    }
    EXPECT_LE(worst, level == IsaLevel::kPortable ? 1.2 : 1.0) << IsaName(level);
    RecordProperty(std::string("worst_ulp_") + std::string(IsaName(level)), std::to_string(worst));
  }
}

TEST(Loops, ExpAtItsEdges) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (IsaLevel level : Levels()) {
    const ScopedIsaLimit limit(level);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> y = ExpOf({0, -0.0f, -86.7f, -1000, -infinity, 88.73f, 1000, infinity, nan, -nan});
    EXPECT_EQ(y[0], 1);
    EXPECT_EQ(y[1], 1);
    for (int i : {2, 3, 4}) EXPECT_EQ(y[static_cast<size_t>(i)], 0);
    for (int i : {5, 6, 7}) EXPECT_EQ(y[static_cast<size_t>(i)], infinity);
    for (int i : {8, 9}) EXPECT_TRUE(std::isnan(y[static_cast<size_t>(i)]));
  }
}

}  // namespace
}  // namespace weft::cpu
