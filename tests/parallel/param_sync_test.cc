// Gathers and reductions on thread ranks with asynchronous, delayed streams: what every rank reads is the owners' values,
// and what it owns afterwards is the sum over ranks, for every ZeRO stage.
#include "parallel/param_sync.h"

#include <gtest/gtest.h>

#include "parallel/thread_communicator.h"

namespace weft {
namespace {

constexpr int kBlocks = 3;

// A model's table in small: matrices whose rows do not divide by the ranks, and vectors, in groups of a stage layout.
std::vector<ParamSpec> Specs() {
  std::vector<ParamSpec> specs = {{.name = "embedding", .shape = {40, 5}, .group = 0}};
  for (int block = 1; block <= kBlocks; ++block) {
    const std::string name = "block" + std::to_string(block);
    specs.push_back({.name = name + ".a", .shape = {7, 6}, .group = block});
    specs.push_back({.name = name + ".norm", .shape = {5}, .group = block, .grad_sum_axes = {Axis::kTp}, .persist = true});
    specs.push_back({.name = name + ".b", .shape = {2, 9}, .group = block});
  }
  specs.push_back({.name = "head", .shape = {40, 5}, .group = kBlocks + 1});
  return specs;
}

float ValueOf(int id, int64_t element) { return static_cast<float>(1000 * id + element); }

// One rank with its streams.
struct Rank {
  Rank(Communicator& world, int zero_stage, Reshard reshard)
      : mesh(MakeProcessMesh({.dp = world.size()}, world, world)),
        stages(*MakeStageLayout(kBlocks, 1, 1, {}, false)),
        plan(MakeTrainingPlans(stages, ScheduleType::k1F1B, 2,
                               {.zero_stage = world.size() > 1 ? zero_stage : 0, .reshard = reshard})[0]),
        compute(MakeStream(world.rank() * 2 + 1)),
        comm(MakeStream(world.rank() * 2 + 2)),
        store(Specs(), mesh.shape, mesh.coord, Device::Cpu(), {.zero_stage = zero_stage}),
        sync(&store, mesh, stages, {plan}, compute.get(), comm.get()) {}

  static std::unique_ptr<Stream> MakeStream(int seed) {
    return Stream::Create(Device::Cpu(), {.asynchronous = true, .delay_seed = static_cast<uint64_t>(seed)});
  }

  ProcessMesh mesh;
  StageLayout stages;
  Plan plan;
  std::unique_ptr<Stream> compute, comm;
  ParamStore store;
  ParamSync sync;
};

// Owned pieces := the owners' values plus `shift`, on the compute stream, as an optimizer does.
void Update(Rank& rank, float shift) {
  for (int id = 0; id < rank.store.num_params(); ++id) {
    const TensorView master = rank.store.Master(id);
    for (const Slab& slab : rank.store.SlabsOf(id)) {
      rank.compute->Run([=] {
        const int64_t columns = slab.col_end - slab.col_begin;
        for (int64_t i = 0; i < (slab.row_end - slab.row_begin) * columns; ++i) {
          master.data<float>()[slab.local_row * columns + i] = ValueOf(id, slab.row_begin * columns + i) + shift;
        }
      });
    }
  }
  rank.sync.MarkUpdated();
}

class ParamSyncStages : public testing::TestWithParam<std::tuple<int, Reshard>> {};

TEST_P(ParamSyncStages, RanksReadTheOwnersValuesAndOwnTheSums) {
  const auto [zero_stage, reshard] = GetParam();
  RunThreadRanks(3, [&, zero_stage = zero_stage, reshard = reshard](Communicator& world) {
    Rank rank(world, zero_stage, reshard);
    const float rank_share = static_cast<float>(world.rank() + 1);
    for (int step = 0; step < 3; ++step) {
      const float shift = static_cast<float>(step) / 2;
      rank.store.ZeroGrads(*rank.compute);
      Update(rank, shift);
      for (const Action& action : rank.plan) {
        if (action.kind == ActionKind::kGather) rank.sync.Gather(action.group);
        if (action.kind == ActionKind::kRelease) rank.sync.Release(action.group);
        if (action.kind == ActionKind::kReduce) rank.sync.Reduce(action.group);
        if (action.kind == ActionKind::kReduceVectors) rank.sync.ReduceVectors();
        if (!IsCompute(action.kind)) continue;
        for (int bucket : rank.stages.ParamGroupsOf(action.group)) {
          if (rank.stages.ReadsWeights(action)) rank.sync.UseWeights(bucket);
          if (action.kind == ActionKind::kBackward) rank.sync.UseGrads(bucket);
        }
        for (int id = 0; id < rank.store.num_params(); ++id) {
          if (rank.store.spec(id).group != action.group) continue;
          const int64_t n = rank.store.spec(id).shape.num_elements();
          if (rank.stages.ReadsWeights(action)) {
            const ConstTensorView weight = rank.store.Weight(id);
            rank.compute->Run([=] {
              for (int64_t i = 0; i < n; ++i) ASSERT_EQ(weight.data<float>()[i], ValueOf(id, i) + shift) << id << ", " << i;
            });
          }
          if (action.kind != ActionKind::kBackward) continue;
          const TensorView grad = rank.store.Grad(id);
          rank.compute->Run([=] {
            for (int64_t i = 0; i < n; ++i) grad.data<float>()[i] += rank_share * static_cast<float>(i + id);
          });
        }
      }
      rank.sync.Finish();
      for (int id = 0; id < rank.store.num_params(); ++id) {
        const TensorView grad = rank.store.OwnedGrad(id);
        for (const Slab& slab : rank.store.SlabsOf(id)) {
          rank.compute->Run([=] {
            const int64_t columns = slab.col_end - slab.col_begin;
            for (int64_t i = 0; i < (slab.row_end - slab.row_begin) * columns; ++i) {
              const float expected = 2 * 6 * static_cast<float>(slab.row_begin * columns + i + id);  // 2 micro-batches, 1 + 2 + 3
              ASSERT_EQ(grad.data<float>()[slab.local_row * columns + i], expected) << id << ", " << i;
            }
          });
        }
      }
    }
    rank.compute->Synchronize();
    rank.comm->Synchronize();
    EXPECT_TRUE(rank.sync.all_slots_were_held()) << "more slots than the plan needs";
  });
}

INSTANTIATE_TEST_SUITE_P(All, ParamSyncStages,
                         testing::Combine(testing::Values(0, 1, 2, 3),
                                          testing::Values(Reshard::kPerUse, Reshard::kPerMicroBatch, Reshard::kPerStep)));

// Memory follows the stage: what a rank keeps for good, and how many slots it needs besides.
TEST(ParamSync, SlotsAreAsManyAsThePlanHolds) {
  const StageLayout stages = *MakeStageLayout(kBlocks, 1, 1, {}, false);
  const auto count = [&](int zero_stage, Reshard reshard) {
    const ParamLayout layout(Specs(), {.dp = 2}, {}, {.zero_stage = zero_stage});
    const std::vector<Plan> plans = MakeTrainingPlans(stages, ScheduleType::k1F1B, 2, {.zero_stage = zero_stage, .reshard = reshard});
    return CountSlots(layout, stages, plans);
  };
  EXPECT_TRUE(count(0, Reshard::kPerUse).weights.empty());
  EXPECT_TRUE(count(1, Reshard::kPerUse).grads.empty());
  EXPECT_TRUE(count(2, Reshard::kPerUse).weights.empty());
  const ParamLayout layout(Specs(), {.dp = 2}, {}, {.zero_stage = 3});
  const int64_t block = layout.whole_elements(1), table = layout.whole_elements(0);
  EXPECT_EQ(count(3, Reshard::kPerUse).weights.at(block), 2) << "one in use, one ahead";
  EXPECT_EQ(count(3, Reshard::kPerStep).weights.at(block), kBlocks);
  EXPECT_EQ(count(3, Reshard::kPerStep).weights.at(table), 2) << "embedding and head";
  EXPECT_EQ(count(3, Reshard::kPerUse).grads.at(block), 1);
}

}  // namespace
}  // namespace weft
