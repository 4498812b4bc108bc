// A whole training step on CUDA against the same step on the CPU: loss, every gradient, gradient norm, updated weights.
// Skips where there is no CUDA device.
#include <gtest/gtest.h>

#include <cmath>

#include "core/cuda_device.h"
#include "optim/optimizer.h"
#include "tests/model/tiny_model.h"
#include "trainer/device_batch.h"

namespace weft {
namespace {

constexpr int64_t kSequences = 4, kLength = 96;

// Head sizes that cuDNN takes, so that bf16 goes the way of real models.
ModelConfig Config(const std::string& model_type) {
  ModelConfig c = TinyConfig(model_type);
  c.vocab_size = 211;
  c.hidden_size = 96;
  c.intermediate_size = 176;
  c.head_dim = 32;
  c.max_position_embeddings = 128;
  return c;
}

double RelativeDistance(const std::vector<float>& a, const std::vector<float>& b, const std::vector<bool>& counts = {}) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!counts.empty() && !counts[i]) continue;
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

// Elements whose gradient is more than rounding. AdamW divides a gradient by its own size, so where it is all rounding
// (the bias of k, which the softmax cancels) the weight moves by chance.
std::vector<bool> MoreThanRounding(const std::vector<float>& grad) {
  double squares = 0;
  for (float g : grad) squares += static_cast<double>(g) * g;
  const double least = 0.1 * std::sqrt(squares / static_cast<double>(grad.size()));
  std::vector<bool> counts;
  for (float g : grad) counts.push_back(std::abs(g) > least);
  return counts;
}

// What three steps leave behind; gradients are those of the first.
struct Outcome {
  std::vector<double> losses, norms;
  std::vector<std::vector<float>> grads, moved;  // by parameter; moved = weights after - before
};

Outcome Train(const std::string& model_type, DType dtype, Device device) {
  TinyRig rig(Config(model_type), kSequences * kLength, Recompute::kNone, dtype, 0, device);
  Optimizer optimizer(&rig.store, {.lr = 1e-3, .betas = {0.9, 0.95}, .eps = 1e-8, .weight_decay = 0.1}, 1.0);
  DeviceBatch uploaded(device);
  Outcome outcome;
  std::vector<std::vector<float>> before;
  for (int id = 0; id < rig.store.num_params(); ++id) before.push_back(ValuesOf(*rig.stream, rig.store.Master(id)));
  for (int step = 1; step <= 3; ++step) {
    std::vector<MicroBatch> batches;
    batches.push_back(TinyBatch(static_cast<uint64_t>(step), kSequences, kLength, rig.config.vocab_size));
    const int64_t unmasked = batches[0].num_unmasked;
    outcome.losses.push_back(rig.Train(uploaded.Upload(*rig.stream, std::move(batches)), unmasked));
    for (int id = 0; step == 1 && id < rig.store.num_params(); ++id) {
      outcome.grads.push_back(ValuesOf(*rig.stream, rig.store.Grad(id)));
    }
    optimizer.MeasureGradients(*rig.stream, *rig.self);
    optimizer.Update(*rig.stream, 1e-3, step);
    outcome.norms.push_back(ValuesOf(*rig.stream, optimizer.grad_norm())[0]);
  }
  for (int id = 0; id < rig.store.num_params(); ++id) {
    outcome.moved.push_back(ValuesOf(*rig.stream, rig.store.Master(id)));
    for (size_t i = 0; i < outcome.moved.back().size(); ++i) outcome.moved.back()[i] -= before[static_cast<size_t>(id)][i];
  }
  return outcome;
}

class CudaStep : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no CUDA device here";
  }
  void ExpectClose(const Outcome& cuda, const Outcome& cpu, double loss_bound, double grad_bound, double moved_bound) {
    const DecoderParams params = MakeDecoderParams(Config(GetParam()));
    for (size_t step = 0; step < 3; ++step) {
      EXPECT_NEAR(cuda.losses[step], cpu.losses[step], loss_bound * cpu.losses[step]) << "step " << step + 1;
      EXPECT_NEAR(cuda.norms[step], cpu.norms[step], grad_bound * cpu.norms[step]) << "step " << step + 1;
    }
    for (size_t id = 0; id < params.specs.size(); ++id) {
      EXPECT_LT(RelativeDistance(cuda.grads[id], cpu.grads[id]), grad_bound) << params.specs[id].name;
      EXPECT_LT(RelativeDistance(cuda.moved[id], cpu.moved[id], MoreThanRounding(cpu.grads[id])), moved_bound)
          << params.specs[id].name;
    }
  }
};

// f32 without TF32.
TEST_P(CudaStep, EqualsTheCpuStepInF32) {
  ExpectClose(Train(GetParam(), DType::kF32, Device::Cuda()), Train(GetParam(), DType::kF32, Device::Cpu()), 1e-5, 1e-4, 1e-2);
}

// bf16: both round at the same places but sum in another order, so the bound is a few bf16 steps (2^-8).
TEST_P(CudaStep, FollowsTheCpuStepInBf16) {
  ExpectClose(Train(GetParam(), DType::kBF16, Device::Cuda()), Train(GetParam(), DType::kBF16, Device::Cpu()), 2e-3, 2e-2, 0.2);
}

INSTANTIATE_TEST_SUITE_P(Kinds, CudaStep, testing::Values("llama", "qwen2", "qwen3", "gpt2"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
