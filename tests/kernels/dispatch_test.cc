// Dispatch and argument checks that every op shares (kernels/dispatch.h, argument_check.h, heads.h).
#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include "kernels/argument_check.h"
#include "kernels/elementwise.h"
#include "kernels/heads.h"

namespace weft {
namespace {

TEST(Dispatch, KernelsRunInTheOrderOfTheStream) {
  const auto stream = Stream::Create(Device::Cpu(), {.pool = nullptr, .asynchronous = true, .delay_seed = 3});
  Tensor x({2}, DType::kF32), y({2}, DType::kF32);
  stream->Run([&] { x.data<float>()[0] = x.data<float>()[1] = 1; });
  stream->Zero(y);
  for (int i = 0; i < 20; ++i) {
    Accumulate(*stream, {.x = x, .y = y});
    Scale(*stream, {.y = y, .factor = 0.5f});
  }
  stream->Synchronize();
  EXPECT_NEAR(y.data<float>()[0], 1 - 0x1p-20, 1e-7);
}

struct FillArgs {
  TensorView y;  // [n] f32
};
void Fill(ThreadPool&, const FillArgs& args, TensorView scratch) {
  float* values = static_cast<float*>(scratch.raw());
  for (int64_t i = 0; i < args.y.num_elements(); ++i) values[i] = static_cast<float>(i);
  for (int64_t i = 0; i < args.y.num_elements(); ++i) args.y.data<float>()[i] = values[i];
}

TEST(Dispatch, AKernelGetsTheScratchItAskedFor) {
  const auto stream = Stream::Create(Device::Cpu(), {.pool = nullptr, .asynchronous = true});
  Tensor y({1000}, DType::kF32);
  RunOnCpu(*stream, FillArgs{y}, y.num_bytes(), Fill);
  stream->Synchronize();
  EXPECT_EQ(y.data<float>()[999], 999);
}

TEST(ArgumentCheckDeathTest, NamesTheFieldAndWhatIsWrong) {
  Tensor x({2, 3}, DType::kF32), ints({2, 3}, DType::kI32);
  const ConstTensorView view = x;
  EXPECT_DEATH(CheckArgument("x", view, DType::kBF16, {2, 3}, Device::Cpu()), "x is f32, expected bf16");
  EXPECT_DEATH(CheckArgument("x", view, DType::kF32, {3, 2}, Device::Cpu()), "x is \\[2, 3\\], expected \\[3, 2\\]");
  EXPECT_DEATH(CheckArgument("x", view, DType::kF32, {2, 3}, Device::Cuda(1)), "x is on cpu, expected cuda:1");
  EXPECT_DEATH(CheckArgument("x", {nullptr, {2, 3}, DType::kF32, Device::Cpu()}, DType::kF32, {2, 3}, Device::Cpu()),
               "x has no data");
  EXPECT_DEATH(CheckFloatArgument("x", ints, 2), "x is i32, expected f32 or bf16");
  EXPECT_DEATH(CheckFloatArgument("x", view, 1), "x is \\[2, 3\\]");
  CheckArgument("x", view, DType::kF32, {2, 3}, Device::Cpu());
  CheckArgument("none", Tensor({0}, DType::kF32), DType::kF32, {0}, Device::Cpu());
}

TEST(HeadsDeathTest, MustLieInsideTheirRows) {
  Tensor rows({4, 12}, DType::kF32);
  const auto heads = [&](int64_t column, int64_t num_heads) { return ConstHeads(rows, column, num_heads, 5); };
  CheckHeads(heads(2, 2), 4);
  EXPECT_DEATH(CheckHeads(heads(3, 2), 4), "13 vs 12");
  EXPECT_DEATH(CheckHeads(heads(-1, 2), 4), "-1 vs 0");
  EXPECT_DEATH(CheckHeads(heads(0, 1), 5), "4 vs 5");
}

}  // namespace
}  // namespace weft
