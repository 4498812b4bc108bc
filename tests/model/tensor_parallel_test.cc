// Tensor and sequence parallelism on thread ranks with delayed queues: two and four ranks give one rank's loss and
// gradients.
#include "model/tensor_parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "parallel/thread_communicator.h"
#include "tests/model/tiny_model.h"

namespace weft {
namespace {

constexpr int64_t kSequences = 2, kLength = 18;

double RelativeDistance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

// What up to four ranks can share; with two, each still has two query heads a key-value head.
ModelConfig SharedConfig(const std::string& model_type, int tp) {
  ModelConfig c = TinyConfig(model_type);
  c.vocab_size = 44;
  c.num_key_value_heads = tp;
  return c;
}

struct Outcome {
  double loss = 0;                            // a token
  std::vector<std::vector<float>> gradients;  // by parameter, [global shape]
};

// Puts the pieces that this rank speaks for into the whole.
void AddGradients(TinyRig& rig, Outcome* whole) {
  for (int id = 0; id < rig.store.num_params(); ++id) {
    if (!rig.store.Holds(id) || !rig.store.Votes(id)) continue;
    const ParamSpec& spec = rig.store.spec(id);
    const std::vector<float> local = ValuesOf(*rig.stream, rig.store.OwnedGrad(id));
    std::vector<float>& global = whole->gradients[static_cast<size_t>(id)];
    global.resize(static_cast<size_t>(spec.shape.num_elements()), 0);
    const int64_t columns = NumColumns(spec.shape);
    for (const Slab& slab : rig.store.SlabsOf(id)) {
      const int64_t width = slab.col_end - slab.col_begin;
      for (int64_t i = 0; i < (slab.row_end - slab.row_begin) * width; ++i) {
        const int64_t row = slab.row_begin + i / width, column = slab.col_begin + i % width;
        global[static_cast<size_t>(row * columns + column)] += local[static_cast<size_t>(slab.local_row * width + i)];
      }
    }
  }
}

struct Case {
  Recompute recompute = Recompute::kNone;
  DType dtype = DType::kF32;
};

Outcome TrainOn(int tp, const ModelConfig& config, const Case& c) {
  const std::vector<MicroBatch> batches = [&] {
    std::vector<MicroBatch> made;
    for (uint64_t seed : {1, 2}) made.push_back(TinyBatch(seed, kSequences, kLength, config.vocab_size));
    return made;
  }();
  const int64_t unmasked = batches[0].num_unmasked + batches[1].num_unmasked;
  Outcome whole;
  whole.gradients.resize(MakeDecoderParams(config).specs.size());
  std::mutex mutex;
  RunThreadRanks(tp, [&](Communicator& ranks) {
    TinyRig rig(config, kSequences * kLength, c.recompute, c.dtype, static_cast<uint64_t>(ranks.rank()) + 1, Device::Cpu(),
                {.world = &ranks, .mesh = {.tp = tp}});
    const double loss = rig.Train({ViewOf(batches[0]), ViewOf(batches[1])}, unmasked);
    const std::lock_guard<std::mutex> lock(mutex);
    EXPECT_EQ(loss == 0, ranks.rank() != 0) << "the loss is counted once";
    whole.loss += loss;
    AddGradients(rig, &whole);
  });
  return whole;
}

class TensorParallelOfEachKind : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(TensorParallelOfEachKind, GivesOneRanksLossAndGradients) {
  const auto& [model_type, tp] = GetParam();
  const ModelConfig config = SharedConfig(model_type, tp);
  const Outcome one = TrainOn(1, config, {});
  for (const Recompute recompute : {Recompute::kNone, Recompute::kAttention, Recompute::kBlock}) {
    const Outcome shared = TrainOn(tp, config, {.recompute = recompute});
    EXPECT_NEAR(shared.loss, one.loss, 1e-5 * one.loss);
    for (size_t id = 0; id < one.gradients.size(); ++id) {
      EXPECT_LT(RelativeDistance(shared.gradients[id], one.gradients[id]), 1e-5) << MakeDecoderParams(config).specs[id].name;
    }
  }
}

// Each sum over ranks rounds its terms to bf16 once more than one rank's product does: as far from f32 as one rank in
// bf16 may be (decoder_test.cc).
TEST_P(TensorParallelOfEachKind, Bf16FollowsF32) {
  const auto& [model_type, tp] = GetParam();
  const ModelConfig config = SharedConfig(model_type, tp);
  const Outcome f32 = TrainOn(1, config, {}), half = TrainOn(tp, config, {.dtype = DType::kBF16});
  EXPECT_NEAR(half.loss, f32.loss, 1e-2);
  for (size_t id = 0; id < f32.gradients.size(); ++id) {
    EXPECT_LT(RelativeDistance(half.gradients[id], f32.gradients[id]), 3e-2) << MakeDecoderParams(config).specs[id].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, TensorParallelOfEachKind,
                         testing::Combine(testing::Values("llama", "qwen2", "qwen3"), testing::Values(2, 4)),
                         [](const auto& info) { return StrCat(std::get<0>(info.param), "_tp", std::get<1>(info.param)); });

TEST(TensorParallel, EvaluatesTheLossOfOneRank) {
  const ModelConfig config = SharedConfig("llama", 2);
  const MicroBatch batch = TinyBatch(3, kSequences, kLength, config.vocab_size);
  TinyRig one(config, kSequences * kLength);
  const double expected = one.Evaluate(ViewOf(batch), batch.num_unmasked);
  RunThreadRanks(2, [&](Communicator& ranks) {
    TinyRig rig(config, kSequences * kLength, Recompute::kNone, DType::kF32, 3, Device::Cpu(),
                {.world = &ranks, .mesh = {.tp = 2}});
    const double loss = rig.Evaluate(ViewOf(batch), batch.num_unmasked);
    EXPECT_NEAR(loss, ranks.rank() == 0 ? expected : 0, 1e-5 * expected);
  });
}

TEST(TensorParallel, GathersAndSumsByTokens) {
  RunThreadRanks(3, [](Communicator& ranks) {
    const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu(), {.asynchronous = true, .delay_seed = 9});
    Arena arena(Device::Cpu());
    const TensorParallel tp(&ranks, arena, 6, 2, DType::kF32);
    const TensorView part = arena.Allocate("part", {2, 2}, DType::kF32);
    for (int i = 0; i < 4; ++i) part.data<float>()[i] = static_cast<float>(10 * ranks.rank() + i);
    const ConstTensorView all = tp.Gather(*stream, part);
    stream->Synchronize();
    ASSERT_EQ(all.shape(), (Shape{6, 2}));
    for (int i = 0; i < 12; ++i) EXPECT_EQ(all.data<float>()[i], static_cast<float>(10 * (i / 4) + i % 4));
    const TensorView partial = tp.PartialSums(part);
    for (int i = 0; i < 12; ++i) partial.data<float>()[i] = static_cast<float>(i * (1 + ranks.rank()));
    tp.ReduceScatter(*stream, partial, part);
    stream->Synchronize();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(part.data<float>()[i], static_cast<float>((4 * ranks.rank() + i) * 6));
  });
}

TEST(TensorParallel, AloneCopiesNothing) {
  const TensorParallel alone;
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  Tensor part({2, 2}, DType::kF32);
  EXPECT_EQ(alone.Gather(*stream, part).raw(), part.view().raw());
  EXPECT_EQ(alone.PartialSums(part).raw(), part.view().raw());
}

TEST(TensorParallel, NamesAllThatDoesNotDivide) {
  const ModelConfig config = TinyConfig();  // 4 heads, 2 of keys and values, ffn 40, vocabulary 37
  EXPECT_TRUE(CheckTensorParallel(config, 1, 35).ok());
  const std::string message(CheckTensorParallel(config, 4, 34).message());
  for (const char* part : {"parallel.tp: 4", "num_key_value_heads = 2", "vocab_size = 37", "data.sequence_length) = 34"}) {
    EXPECT_THAT(message, testing::HasSubstr(part));
  }
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("num_attention_heads")));
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("intermediate_size")));
}

}  // namespace
}  // namespace weft
