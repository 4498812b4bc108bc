// Tensor and sequence parallelism on thread ranks with delayed queues: two and four ranks give one rank's loss and
// gradients.
#include "model/tensor_parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/tiny_ranks.h"

namespace weft {
namespace {

constexpr int64_t kSequences = 2, kLength = 18;

// What up to four ranks can share; with two, each still has two query heads a key-value head.
ModelConfig SharedConfig(const std::string& model_type, int tp) {
  ModelConfig c = TinyConfig(model_type);
  c.vocab_size = 44;
  if (model_type != "gpt2") c.num_key_value_heads = tp;
  return c;
}

std::vector<MicroBatch> Batches(const ModelConfig& config) {
  std::vector<MicroBatch> batches;
  for (uint64_t seed : {1, 2}) batches.push_back(TinyBatch(seed, kSequences, kLength, config.vocab_size));
  return batches;
}

class TensorParallelOfEachKind : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(TensorParallelOfEachKind, GivesOneRanksLossAndGradients) {
  const auto& [model_type, tp] = GetParam();
  const ModelConfig config = SharedConfig(model_type, tp);
  const Outcome one = TrainOnRanks({.config = config}, Batches(config));
  for (const Recompute recompute : {Recompute::kNone, Recompute::kAttention, Recompute::kBlock}) {
    const TinyJob job = {.config = config, .place = {.mesh = {.tp = tp}}, .recompute = recompute};
    ExpectSame(job, TrainOnRanks(job, Batches(config)), one, 1e-5);
  }
}

// Each sum over ranks rounds its terms to bf16 once more than one rank's product does, so the distance from f32 is of the
// size of one rank's in bf16 (decoder_test.cc allows 2e-2 over all parameters together; here it is each by itself).
TEST_P(TensorParallelOfEachKind, Bf16FollowsF32) {
  const auto& [model_type, tp] = GetParam();
  const ModelConfig config = SharedConfig(model_type, tp);
  const TinyJob job = {.config = config, .place = {.mesh = {.tp = tp}}, .dtype = DType::kBF16};
  ExpectSame(job, TrainOnRanks(job, Batches(config)), TrainOnRanks({.config = config}, Batches(config)), 3e-2);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TensorParallelOfEachKind,
                         testing::Combine(testing::Values("llama", "qwen2", "qwen3", "gpt2"), testing::Values(2, 4)),
                         [](const auto& info) {
                           return StrCat(std::get<0>(info.param), "_tp", std::get<1>(info.param));
                         });

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
  for (const char* part :
       {"parallel.tp: 4", "num_key_value_heads = 2", "vocab_size = 37", "data.sequence_length) = 34"}) {
    EXPECT_THAT(message, testing::HasSubstr(part));
  }
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("num_attention_heads")));
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("intermediate_size")));
}

}  // namespace
}  // namespace weft
