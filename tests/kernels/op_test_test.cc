// The harness itself: each fault it is there for, planted and caught.
#include "tests/kernels/op_test.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <limits>

namespace weft {
namespace {

class OpHarness : public testing::Test {
 protected:
  OpRun Run() { return OpRun(&case_, {.name = "inline", .device = {}}, stream_.get()); }

  OpCase case_{.name = "harness", .draws = {}, .references = {}, .outputs = {}};
  std::unique_ptr<Stream> stream_ = Stream::Create(Device::Cpu());
};

std::vector<double> Zeros() { return {0, 0, 0}; }
std::vector<double> Ones() { return {1, 1, 1}; }

TEST_F(OpHarness, PassesWhatIsRight) {
  OpRun run = Run();
  const Values ones{{3}, DType::kF32, Ones()};
  const TensorView y = run.Output({3}, DType::kF32);
  run.stream().Copy(y, run.Input(ones));
  run.Expect("y", y, 0, Ones);
  run.ExpectGuardsIntact();
}

TEST_F(OpHarness, CatchesAnElementThatWasNotWritten) {
  OpRun run = Run();
  const TensorView y = run.Output({3}, DType::kF32);
  y.data<float>()[0] = y.data<float>()[1] = 1;
  EXPECT_NONFATAL_FAILURE(run.Expect("y", y, 1, Ones), "worst at 2");
}

TEST_F(OpHarness, CatchesAWrongElement) {
  OpRun run = Run();
  const TensorView y = run.InOut({{3}, DType::kF32, {1, 1.01, 1}});
  EXPECT_NONFATAL_FAILURE(run.Expect("y", y, 1e-3, Ones), "worst at 1");
}

TEST_F(OpHarness, CatchesNaNInReferenceAndAnythingWhereZeroIsDue) {
  OpRun run = Run();
  const TensorView y = run.InOut({{3}, DType::kF32, Ones()});
  const auto nan = [] { return std::vector<double>(3, std::numeric_limits<double>::quiet_NaN()); };
  EXPECT_NONFATAL_FAILURE(run.Expect("nan", y, 1, nan), "off by");
  EXPECT_NONFATAL_FAILURE(run.Expect("zero", y, 1, Zeros), "off by inf");
}

TEST_F(OpHarness, CatchesAnOverrunOfOneElementEitherSide) {
  for (int64_t at : {-1, 3}) {
    OpRun run = Run();
    const TensorView y = run.InOut({{3}, DType::kBF16, Ones()});
    static_cast<uint16_t*>(y.raw())[at] ^= 1;
    EXPECT_NONFATAL_FAILURE(run.ExpectGuardsIntact(), "a guard band was written");
  }
}

TEST_F(OpHarness, CatchesAnOverrunThatAdds) {
  OpRun run = Run();
  const TensorView y = run.InOut({{3}, DType::kF32, Ones()});
  y.data<float>()[3] += 1;
  EXPECT_NONFATAL_FAILURE(run.ExpectGuardsIntact(), "a guard band was written");
}

TEST_F(OpHarness, CatchesAReadBeyondAnInput) {
  OpRun run = Run();
  const ConstTensorView x = run.Input({{3}, DType::kF32, Ones()});
  const TensorView y = run.Output({3}, DType::kF32);
  for (int i = 0; i < 3; ++i) y.data<float>()[i] = x.data<float>()[i + 1];
  EXPECT_NONFATAL_FAILURE(run.Expect("y", y, 1, Ones), "worst at 2");
}

TEST_F(OpHarness, CatchesAWrittenInput) {
  OpRun run = Run();
  const ConstTensorView x = run.Input({{3}, DType::kF32, Ones()});
  const_cast<float*>(x.data<float>())[1] = 2;
  EXPECT_NONFATAL_FAILURE(run.ExpectGuardsIntact(), "an input was written");
}

TEST_F(OpHarness, CatchesAResultThatVaries) {
  for (double value : {1.0, 1.0 + 0x1p-20}) {
    OpRun run = Run();
    const TensorView y = run.InOut({{3}, DType::kF32, {value, 1, 1}});
    if (value == 1) {
      run.Expect("y", y, 1e-3, Ones);
    } else {
      EXPECT_NONFATAL_FAILURE(run.Expect("y", y, 1e-3, Ones), "differs between runs");
    }
  }
}

// An op that reads scratch before it writes it is right only where the scratch happens to hold zeros.
TEST_F(OpHarness, PoisonsScratchOnTheSecondRun) {
  int num_poisoned = 0, num_runs = 0;
  RunOnTargets("scratch", [&](OpRun& run) {
    if (run.target().device.is_cuda()) return;
    const float first = *static_cast<const float*>(run.stream().Workspace(64).raw());
    num_poisoned += first != first;
    ++num_runs;
  });
  EXPECT_GE(num_runs, 8);  // two repetitions, one and three threads, inline and queue
  EXPECT_GE(num_poisoned, num_runs / 2);
}

TEST_F(OpHarness, DrawsTheSameValuesOnEveryTargetAndOthersOnEveryCall) {
  std::vector<double> first;
  RunOnTargets("draws", [&](OpRun& run) {
    const Values a = run.Normal({5}, DType::kBF16);
    const Values b = run.Normal({5}, DType::kBF16);
    if (first.empty()) first = a.data;
    EXPECT_EQ(a.data, first);
    EXPECT_NE(a.data, b.data);
  });
}

TEST(NumericGradient, FindsTheGradientOfACubic) {
  const std::vector<double> x{1, -2, 0.5};
  const auto cubes = [](const std::vector<double>& v) { return v[0] * v[0] * v[0] + v[1] * v[2]; };
  const std::vector<double> gradient = NumericGradient(cubes, x);
  EXPECT_NEAR(gradient[0], 3, 1e-7);
  EXPECT_NEAR(gradient[1], 0.5, 1e-7);
  EXPECT_NEAR(gradient[2], -2, 1e-7);
}

}  // namespace
}  // namespace weft
