// A tiny model and its steps (see tiny_training.h).
#include "trainer/tiny_training.h"

#include <algorithm>

#include "core/rng.h"

namespace weft {
namespace {

constexpr uint64_t kSeed = 7;
constexpr double kLr = 1e-2;
constexpr double kMaxGradNorm = 0.5;  // clips, so that a wrong norm shows in the weights
// The large eps makes an update a smooth function of the gradient: with the usual one, elements whose gradient is all
// rounding would be moved as far as any other.
const OptimizerParams kOptimizer = {.lr = kLr, .betas = {0.9, 0.95}, .eps = 1e-3, .weight_decay = 0.1};

// One sequence: a document of five eighths of it, one of a quarter, and padding; a quarter of the tokens carries no loss.
void AddSequence(const Rng& rng, int64_t length, int64_t vocab_size, BatchBuilder* builder) {
  uint64_t draw = 0;
  for (const int64_t pieces : {length * 5 / 8, length / 4}) {
    std::vector<int32_t> tokens;
    std::vector<uint8_t> mask;
    for (int64_t i = 0; i <= pieces; ++i) {
      tokens.push_back(static_cast<int32_t>(rng.Below(draw++, static_cast<uint64_t>(vocab_size))));
      mask.push_back(rng.Below(draw++, 4) != 0 ? 1 : 0);
    }
    builder->AddPiece(tokens, mask);
  }
  builder->EndSequence();
}

}  // namespace

ModelConfig TinyModel(const ModelConfig& model, int64_t num_blocks, int tp) {
  ModelConfig tiny = model;
  tiny.num_hidden_layers = num_blocks;
  const bool grouped = model.num_key_value_heads < model.num_attention_heads;
  tiny.num_key_value_heads = tp;
  tiny.num_attention_heads = grouped ? 2 * tp : tp;
  tiny.head_dim = 16;
  tiny.hidden_size = 64;
  tiny.intermediate_size = 24 * tp;
  tiny.vocab_size = 40 * tp;
  if (model.positions == PositionKind::kLearned) tiny.max_position_embeddings = TinySamples{.tp = tp}.sequence_length();
  tiny.initializer_range = 0.1;  // wide enough for attention to matter
  return tiny;
}

std::vector<MicroBatch> TinySamples::Of(int first, int count, int64_t step) const {
  std::vector<MicroBatch> micro_batches;
  for (int m = 0; m < num_micro_batches; ++m) {
    BatchBuilder builder(count * kSequences, sequence_length());
    for (int replica = first; replica < first + count; ++replica) {
      for (int s = 0; s < kSequences; ++s) {
        const Rng rng(kSeed, StreamKey(StrCat("step ", step, " replica ", replica, " micro-batch ", m, " sequence ", s)));
        AddSequence(rng, sequence_length(), vocab_size, &builder);
      }
    }
    micro_batches.push_back(builder.Take());
  }
  return micro_batches;
}

TinyTraining::TinyTraining(const ModelConfig& model, const TrainingLayout& layout, const TinySamples& samples,
                           const ProcessMesh& mesh, const TrainingStreams& streams)
    : samples_(samples),
      mesh_(mesh),
      streams_(streams),
      replicas_here_(samples.num_replicas / mesh.shape.dp),
      training_(model, layout,
                {.tokens_per_micro_batch = samples.tokens_per_micro_batch(replicas_here_),
                 .max_positions = samples.sequence_length(),
                 .num_micro_batches = samples.num_micro_batches},
                mesh, streams, kOptimizer, kMaxGradNorm) {
  training_.params().Initialize(streams.compute, kSeed);
  training_.WeightsChanged();
}

void TinyTraining::Step(int64_t step) {
  std::vector<MicroBatch> mine = samples_.Of(mesh_.coord.of(Axis::kDp) * replicas_here_, replicas_here_, step);
  int64_t tokens = training_.CountedTokens(mine);
  const std::unique_ptr<Stream> host = Stream::Create(Device::Cpu());
  mesh_.world->AllReduce(*host, TensorView(&tokens, {1}, DType::kI64, Device::Cpu()));
  tokens = std::max<int64_t>(tokens, 1);
  training_.ComputeGradients(std::move(mine), tokens);
  training_.Update(kLr, step);
  loss_ = training_.ReadLossSum() / static_cast<double>(tokens);
  grad_norm_ = training_.ReadGradNorm();
}

std::vector<float> TinyTraining::Read(ConstTensorView tensor) const {
  std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
  streams_.compute.Copy(TensorView(values.data(), tensor.shape(), DType::kF32, Device::Cpu()), tensor);
  streams_.compute.Synchronize();
  return values;
}

}  // namespace weft
