// The memory that is planned is the memory that every rank allocates, to the byte (trainer/rank_memory.h).
#include "trainer/rank_memory.h"

#include <gtest/gtest.h>

#include "core/str_cat.h"
#include "model/params.h"
#include "optim/offloaded_adamw.h"
#include "parallel/param_sync.h"
#include "parallel/thread_communicator.h"
#include "tests/model/tiny_model.h"
#include "trainer/train_state.h"

namespace weft {
namespace {

// What the arenas of a rank list under names that begin so.
size_t BytesNamed(const std::vector<const Arena*>& arenas, const std::string& prefix) {
  size_t bytes = 0;
  for (const Arena* arena : arenas) {
    for (const Arena::Piece& piece : arena->pieces()) bytes += piece.name.starts_with(prefix) ? piece.bytes : 0;
  }
  return bytes;
}

struct Case {
  MeshShape mesh;
  ParamLayoutOptions options;
  Reshard reshard = Reshard::kPerMicroBatch;
  bool tied = false;
  std::string ToString() const {
    return StrCat(mesh.ToString(), " zero ", options.zero_stage, " reshard ", static_cast<int>(reshard), options.offload_optimizer ? " offload " : " ",
                  DTypeName(options.compute_dtype), tied ? " tied" : "");
  }
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const MeshShape& mesh : {MeshShape{}, MeshShape{.dp = 3}, MeshShape{.tp = 2}, MeshShape{.pp = 2}, MeshShape{.pp = 2, .dp = 2},
                                MeshShape{.pp = 2, .dp = 2, .tp = 2}}) {
    for (const int zero_stage : {0, 1, 2, 3}) {
      for (const bool offload : {false, true}) {
        for (const DType dtype : {DType::kF32, DType::kBF16}) {
          const auto number = static_cast<int>(cases.size());
          cases.push_back({mesh, {.compute_dtype = dtype, .zero_stage = zero_stage, .offload_optimizer = offload},
                           static_cast<Reshard>(number % 3), number / 3 % 2 == 1});
        }
      }
    }
  }
  return cases;
}

// Allocates one rank and compares.
void ExpectAllocatesAsPlanned(const Case& c, const DecoderParams& params, const StageLayout& stages, Communicator& world) {
  const ProcessMesh mesh = MakeProcessMesh(c.mesh, world, world);
  const ShardPolicy policy = {.zero_stage = c.mesh.dp > 1 ? c.options.zero_stage : 0, .reshard = c.reshard};
  const auto stage = static_cast<size_t>(mesh.coord.of(Axis::kPp));
  const std::vector<Plan> plans = {MakeTrainingPlans(stages, ScheduleType::k1F1B, 4, policy)[stage],
                                   MakeEvaluationPlans(stages, 2, policy)[stage]};
  const auto stream = Stream::Create(Device::Cpu());
  ParamStore store(params.specs, c.mesh, mesh.coord, Device::Cpu(), c.options);
  const ParamSync sync(&store, mesh, stages, plans, stream.get(), stream.get());
  std::vector<const Arena*> arenas = {&store.device_arena(), &store.host_arena(), &sync.arena()};
  std::unique_ptr<OffloadedAdamW> offloaded;
  if (c.options.offload_optimizer) {
    offloaded = std::make_unique<OffloadedAdamW>(Device::Cpu(), c.options.compute_dtype, StreamOptions{}, RingFor(store.layout()));
    arenas.push_back(&offloaded->arena());
  }
  const TrainStateSnapshot snapshot(store);
  arenas.push_back(&snapshot.arena());
  const RankMemory memory = MemoryOf(ParamLayout(params.specs, c.mesh, mesh.coord, c.options), stages, plans, true);
  EXPECT_EQ(memory.weights, BytesNamed(arenas, "weights"));
  EXPECT_EQ(memory.grads, BytesNamed(arenas, "gradients"));
  EXPECT_EQ(memory.masters, BytesNamed(arenas, "masters"));
  EXPECT_EQ(memory.moments, BytesNamed(arenas, "first moments") + BytesNamed(arenas, "second moments"));
  EXPECT_EQ(memory.gathered_weights, BytesNamed(arenas, "gathered weights"));
  EXPECT_EQ(memory.whole_grads, BytesNamed(arenas, "whole gradients"));
  EXPECT_EQ(memory.snapshot, BytesNamed(arenas, "snapshot"));
  EXPECT_EQ(memory.device_bytes(), store.device_arena().bytes() + sync.arena().bytes());
  EXPECT_EQ(memory.host_bytes(), store.host_arena().bytes() + snapshot.arena().bytes() + (offloaded == nullptr ? 0 : offloaded->arena().bytes()));
}

TEST(RankMemory, IsWhatEveryRankAllocates) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.ToString());
    ModelConfig config = TinyConfig("llama");
    config.vocab_size = 38;  // tp 2 divides it
    config.tie_word_embeddings = c.tied;
    const StatusOr<StageLayout> stages = MakeStageLayout(static_cast<int>(config.num_hidden_layers), c.mesh.pp, 1, {}, c.tied);
    ASSERT_TRUE(stages.ok()) << stages.status();
    DecoderParams params = MakeDecoderParams(config);
    AssignStages(&params, *stages);
    RunThreadRanks(c.mesh.size(), [&](Communicator& world) { ExpectAllocatesAsPlanned(c, params, *stages, world); });
  }
}

// The table of docs/parallelism.md, in bytes a parameter of the matrices: weights, gradients, masters and moments.
TEST(RankMemory, FallsWithTheZeroStage) {
  const std::vector<ParamSpec> specs = {{.name = "table", .shape = {64, 64}, .group = 0}};
  const StatusOr<StageLayout> stages = MakeStageLayout(0, 1, 1, {}, true);
  ASSERT_TRUE(stages.ok()) << stages.status();
  const auto memory = [&](int zero_stage, bool offload) {
    const ParamLayoutOptions options = {.compute_dtype = DType::kBF16, .zero_stage = zero_stage, .offload_optimizer = offload};
    const MeshShape mesh{.dp = 4};
    return MemoryOf(ParamLayout(specs, mesh, {}, options), *stages,
                    MakeTrainingPlans(*stages, ScheduleType::k1F1B, 1, {.zero_stage = zero_stage}), false);
  };
  const size_t parameters = 64 * 64, ring = 3 * (4 + 2) * parameters / 4 + 4;
  EXPECT_EQ(memory(0, false), (RankMemory{.weights = 2 * parameters, .grads = 4 * parameters, .masters = 4 * parameters, .moments = 8 * parameters}));
  EXPECT_EQ(memory(1, false), (RankMemory{.weights = 2 * parameters, .grads = 4 * parameters, .masters = parameters, .moments = 2 * parameters}));
  EXPECT_EQ(memory(2, false), (RankMemory{.weights = 2 * parameters, .grads = parameters, .masters = parameters, .moments = 2 * parameters, .whole_grads = 4 * parameters}));
  EXPECT_EQ(memory(3, true),
            (RankMemory{.weights = parameters / 2, .grads = parameters, .masters = parameters, .moments = 2 * parameters,
                        .gathered_weights = 2 * parameters, .whole_grads = 4 * parameters, .offload_ring = ring, .state_on_host = true}));
  EXPECT_EQ(memory(3, true).host_bytes(), 3 * parameters + ring);
}

}  // namespace
}  // namespace weft
