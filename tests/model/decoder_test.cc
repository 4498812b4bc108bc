// The decoder as a whole: gradients against differences of the loss, and that recomputation, accumulation and
// asynchronous streams change nothing.
#include "model/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/tiny_ranks.h"

namespace weft {
namespace {

constexpr int64_t kSequences = 2, kLength = 18;

class DecoderOfEachKind : public testing::TestWithParam<std::string> {};

// Along each parameter's own gradient the loss must change at the rate of the gradient's length. The loss is f32, hence the
// bound; the golden tests are sharper.
TEST_P(DecoderOfEachKind, GradientsAreTheSlopeOfTheLoss) {
  TinyRig rig(TinyConfig(GetParam()), kSequences * kLength);
  const MicroBatch batch = TinyBatch(1, kSequences, kLength, rig.config.vocab_size);
  rig.Train({ViewOf(batch)}, batch.num_unmasked);
  for (int id = 0; id < rig.store.num_params(); ++id) {
    const TensorView grad = rig.store.Grad(id), master = rig.store.Master(id);
    const int64_t n = grad.num_elements();
    double norm = 0;
    for (int64_t i = 0; i < n; ++i) norm += std::pow(static_cast<double>(grad.data<float>()[i]), 2);
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 0) << rig.store.specs()[static_cast<size_t>(id)].name;
    const std::vector<float> before(master.data<float>(), master.data<float>() + n);
    // Long enough to stand out of the f32 loss's rounding, short enough for its curvature, which is largest along the biases
    // that are added to the small stream of a new model.
    const double step = rig.store.spec(id).init.kind == Init::Kind::kZeros ? 1e-2 : 3e-2;
    double loss[2];
    for (int side = 0; side < 2; ++side) {
      for (int64_t i = 0; i < n; ++i) {
        master.data<float>()[i] = static_cast<float>(before[static_cast<size_t>(i)] + (side == 0 ? -step : step) * grad.data<float>()[i] / norm);
      }
      loss[side] = rig.Evaluate(ViewOf(batch), batch.num_unmasked);
    }
    std::copy(before.begin(), before.end(), master.data<float>());
    EXPECT_NEAR((loss[1] - loss[0]) / (2 * step) / norm, 1.0, 2e-2) << rig.store.specs()[static_cast<size_t>(id)].name;
  }
}

TEST_P(DecoderOfEachKind, RecomputationChangesNoBit) {
  const MicroBatch batch = TinyBatch(2, kSequences, kLength, 37);
  TinyRig kept(TinyConfig(GetParam()), kSequences * kLength);
  const double loss = kept.Train({ViewOf(batch)}, batch.num_unmasked);
  for (const Recompute recompute : {Recompute::kAttention, Recompute::kBlock}) {
    TinyRig again(TinyConfig(GetParam()), kSequences * kLength, recompute);
    EXPECT_EQ(again.Train({ViewOf(batch)}, batch.num_unmasked), loss);
    EXPECT_EQ(again.Gradients(), kept.Gradients());
    EXPECT_LT(again.decoder.arena().bytes(), kept.decoder.arena().bytes());
  }
}

TEST_P(DecoderOfEachKind, MicroBatchesAddUpToTheBatch) {
  const MicroBatch whole = TinyBatch(3, kSequences, kLength, 37);
  TinyRig one(TinyConfig(GetParam()), kSequences * kLength);
  const double loss = one.Train({ViewOf(whole)}, whole.num_unmasked);
  // The same sequences, one a micro-batch.
  std::vector<MicroBatch> parts;
  for (int64_t s = 0; s < kSequences; ++s) {
    BatchBuilder builder(1, kLength);
    const int32_t* begins = whole.cu_seqlens.data<int32_t>();
    for (int64_t d = 0; d < whole.num_documents; ++d) {
      if (begins[d] < s * kLength || begins[d] >= (s + 1) * kLength) continue;
      std::vector<int32_t> tokens(whole.tokens.data<int32_t>() + begins[d], whole.tokens.data<int32_t>() + begins[d + 1]);
      std::vector<uint8_t> mask(1, 1);
      for (int32_t t = begins[d]; t < begins[d + 1]; ++t) mask.push_back(whole.weights.data<float>()[t] != 0);
      tokens.push_back(whole.targets.data<int32_t>()[begins[d + 1] - 1]);
      builder.AddPiece(tokens, mask);
    }
    builder.EndSequence();
    parts.push_back(builder.Take());
  }
  TinyRig two(TinyConfig(GetParam()), kLength);
  EXPECT_NEAR(two.Train({ViewOf(parts[0]), ViewOf(parts[1])}, whole.num_unmasked), loss, 1e-6);
  EXPECT_LT(RelativeDistance(two.Gradients(), one.Gradients()), 2e-6);
}

TEST_P(DecoderOfEachKind, AnAsynchronousStreamGivesTheSameBits) {
  const MicroBatch batch = TinyBatch(4, kSequences, kLength, 37);
  TinyRig inline_rig(TinyConfig(GetParam()), kSequences * kLength);
  TinyRig queued(TinyConfig(GetParam()), kSequences * kLength, Recompute::kNone, DType::kF32, /*delay_seed=*/5);
  EXPECT_EQ(queued.Train({ViewOf(batch)}, batch.num_unmasked), inline_rig.Train({ViewOf(batch)}, batch.num_unmasked));
  EXPECT_EQ(queued.Gradients(), inline_rig.Gradients());
}

TEST_P(DecoderOfEachKind, Bf16FollowsF32) {
  const MicroBatch batch = TinyBatch(5, kSequences, kLength, 37);
  TinyRig f32(TinyConfig(GetParam()), kSequences * kLength);
  TinyRig half(TinyConfig(GetParam()), kSequences * kLength, Recompute::kNone, DType::kBF16);
  const double loss = f32.Train({ViewOf(batch)}, batch.num_unmasked);
  EXPECT_NEAR(half.Train({ViewOf(batch)}, batch.num_unmasked), loss, 1e-2);
  EXPECT_LT(RelativeDistance(half.Gradients(), f32.Gradients()), 2e-2);
}

INSTANTIATE_TEST_SUITE_P(Kinds, DecoderOfEachKind, testing::Values("llama", "qwen2", "qwen3", "gpt2"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
