// A tiny decoder with random weights and packed micro-batches, for tests of the model.
#pragma once

#include <vector>

#include "core/rng.h"
#include "data/batch.h"
#include "model/decoder.h"
#include "parallel/communicator.h"

namespace weft {

inline ModelConfig TinyConfig(const std::string& model_type = "llama") {
  ModelConfig c;
  c.model_type = model_type;
  c.vocab_size = 37;
  c.hidden_size = 24;
  c.intermediate_size = 40;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = model_type == "qwen3" ? 10 : 6;
  c.max_position_embeddings = 64;
  c.qkv_bias = model_type == "qwen2";
  c.qk_norm = model_type == "qwen3";
  c.tie_word_embeddings = model_type == "qwen2" || model_type == "gpt2";
  if (model_type == "gpt2") {
    c.num_key_value_heads = c.num_attention_heads;
    c.norm = NormKind::kLayer;
    c.activation = Activation::kGeluTanh;
    c.positions = PositionKind::kLearned;
    c.qkv_bias = c.output_bias = c.mlp_bias = true;
  }
  return c;
}

// Sequences of `sequence_length` random tokens: one document and a half, then padding, with an uneven loss mask.
inline MicroBatch TinyBatch(uint64_t seed, int64_t num_sequences, int64_t sequence_length, int64_t vocab_size) {
  BatchBuilder builder(num_sequences, sequence_length);
  const Rng rng(seed, StreamKey("tiny batch"));
  uint64_t draw = 0;
  for (int64_t s = 0; s < num_sequences; ++s) {
    for (const int64_t length : {sequence_length / 2 + s, sequence_length / 3 - s}) {
      std::vector<int32_t> tokens;
      std::vector<uint8_t> mask;
      for (int64_t i = 0; i <= length; ++i) {
        tokens.push_back(static_cast<int32_t>(rng.Below(draw++, static_cast<uint64_t>(vocab_size))));
        mask.push_back(rng.Below(draw++, 4) != 0 ? 1 : 0);
      }
      builder.AddPiece(tokens, mask);
    }
    builder.EndSequence();
  }
  return builder.Take();
}

inline MicroBatchView ViewOf(const MicroBatch& batch) {
  return {.tokens = batch.tokens.view(), .targets = batch.targets.view(), .weights = batch.weights.view(),
          .positions = batch.positions.view(),
          .packing = {.cu_seqlens = batch.cu_seqlens.view(), .max_seqlen = batch.max_seqlen}};
}

// The values of a tensor on any device, f32.
inline std::vector<float> ValuesOf(Stream& stream, ConstTensorView tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
  stream.Copy(TensorView(values.data(), tensor.shape(), DType::kF32, Device::Cpu()), tensor);
  stream.Synchronize();
  return values;
}

// Where a rig stands among other ranks; by default it is alone.
struct TinyPlace {
  Communicator* world = nullptr;  // all ranks of `mesh`; nullptr: one rank alone
  MeshShape mesh;
  ScheduleType schedule = ScheduleType::k1F1B;
  int interleave = 1;
  std::vector<int64_t> blocks_per_stage;
  int num_micro_batches = 1;  // the most of a plan; with one pipeline rank any number goes
};

// A decoder with everything it needs, on one rank.
struct TinyRig {
  TinyRig(const ModelConfig& config, int64_t tokens_per_micro_batch, Recompute recompute = Recompute::kNone,
          DType dtype = DType::kF32, uint64_t delay_seed = 0, Device device = Device::Cpu(), const TinyPlace& place = {})
      : config(config),
        place(place),
        self(MakeSelfCommunicator()),
        mesh(MakeProcessMesh(place.mesh, place.world == nullptr ? *self : *place.world,
                             place.world == nullptr ? *self : *place.world)),
        params(MakeDecoderParams(config)),
        stages(*MakeStageLayout(static_cast<int>(params.blocks.size()), place.mesh.pp, place.interleave,
                                place.blocks_per_stage, config.tie_word_embeddings)),
        stream(MakeStream(device, delay_seed)),
        transfer(MakeStream(device, delay_seed == 0 ? 0 : delay_seed + 1000)),
        store(SpecsOnStages(), mesh.shape, mesh.coord, device, {.compute_dtype = dtype}),
        sync(&store, mesh, stages, {TrainingPlan(place.num_micro_batches), EvaluationPlan(place.num_micro_batches)},
             stream.get(), stream.get()),
        decoder(config, params, &store, stream.get(),
                {.tokens_per_micro_batch = tokens_per_micro_batch,
                 .max_positions = 128,
                 .recompute = recompute,
                 .stages = stages,
                 .stage = mesh.coord.of(Axis::kPp),
                 .peaks = Max(MeasurePeaks(TrainingPlan(place.num_micro_batches), stages),
                              MeasurePeaks(EvaluationPlan(place.num_micro_batches), stages)),
                 .tensor_parallel = mesh.tp.get()}) {
    store.Initialize(*stream, 7);
  }
  ~TinyRig() {  // another rank may still be receiving from this one's memory
    stream->Synchronize();
    transfer->Synchronize();
  }

  // This rank's part of the loss per unmasked token; gradients of it are left in the store.
  double Train(const std::vector<MicroBatchView>& batches, int64_t unmasked) {
    store.ZeroGrads(*stream);
    decoder.BeginTraining(batches, 1.0f / static_cast<float>(unmasked));
    Run(TrainingPlan(static_cast<int>(batches.size())));
    return ValuesOf(*stream, decoder.loss_sum())[0] / static_cast<double>(unmasked);
  }
  double Evaluate(const MicroBatchView& batch, int64_t unmasked) {
    return Evaluate(std::vector<MicroBatchView>{batch}, unmasked);
  }
  double Evaluate(const std::vector<MicroBatchView>& batches, int64_t unmasked) {
    decoder.BeginEvaluation(batches);
    Run(EvaluationPlan(static_cast<int>(batches.size())));
    return ValuesOf(*stream, decoder.loss_sum())[0] / static_cast<double>(unmasked);
  }
  void Run(const Plan& plan) {
    RunPlan(plan, stages, decoder, sync, mesh, {.compute = *stream, .transfer = *transfer});
  }
  std::vector<float> Gradients() {
    std::vector<float> all;
    for (int id = 0; id < store.num_params(); ++id) {
      const std::vector<float> grad = ValuesOf(*stream, store.Grad(id));
      all.insert(all.end(), grad.begin(), grad.end());
    }
    return all;
  }

  static std::unique_ptr<Stream> MakeStream(Device device, uint64_t delay_seed) {
    return Stream::Create(device, {.asynchronous = delay_seed != 0, .delay_seed = delay_seed});
  }
  std::vector<ParamSpec> SpecsOnStages() {
    AssignStages(&params, stages);
    return params.specs;
  }
  Plan TrainingPlan(int num_micro_batches) const {
    return MakeTrainingPlans(stages, place.schedule, num_micro_batches, {})[pp_rank()];
  }
  Plan EvaluationPlan(int num_micro_batches) const {
    return MakeEvaluationPlans(stages, num_micro_batches, {})[pp_rank()];
  }
  size_t pp_rank() const { return static_cast<size_t>(mesh.coord.of(Axis::kPp)); }

  ModelConfig config;
  TinyPlace place;
  std::unique_ptr<Communicator> self;
  ProcessMesh mesh;
  DecoderParams params;
  StageLayout stages;
  std::unique_ptr<Stream> stream, transfer;
  ParamStore store;
  ParamSync sync;
  Decoder decoder;
};

}  // namespace weft
