// The parameter store: layout of flat buffers, and initial values that do not depend on the mesh.
#include "parallel/param_store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace weft {
namespace {

std::vector<ParamSpec> Specs() {
  return {{.name = "embedding", .shape = {10, 6}, .group = 0, .splits = {{Axis::kTp, 0, {}}}},
          {.name = "norm", .shape = {6}, .group = 1, .persist = true, .init = {Init::Kind::kOnes, 0}},
          {.name = "qkv", .shape = {12, 6}, .group = 1, .splits = {{Axis::kTp, 0, {8, 2, 2}}}, .init = {Init::Kind::kNormal, 0.5}},
          {.name = "bias", .shape = {4}, .group = 1, .persist = true, .init = {Init::Kind::kZeros, 0}},
          {.name = "out", .shape = {6, 8}, .group = 1, .splits = {{Axis::kTp, 1, {}}}}};
}

ParamStore MakeStore(const MeshShape& mesh, const Coord& coord, ParamStore::Options options = {}) {
  ParamStore store(Specs(), mesh, coord, Device::Cpu(), options);
  const auto stream = Stream::Create(Device::Cpu());
  store.Initialize(*stream, 11);
  return store;
}

TEST(ParamStore, BucketsAreFlatBuffersThatHoldTheirParametersAndZeros) {
  ParamStore store = MakeStore({}, {});
  ASSERT_EQ(store.layout().num_buckets(), 3) << "two groups, and the vectors";
  std::set<const std::byte*> places;
  for (const auto& [bucket, ids] : std::map<int, std::vector<int>>{{0, {0}}, {1, {2, 4}}, {2, {1, 3}}}) {
    const TensorView flat = store.Buffer(ParamState::kGrads, bucket);
    const auto* begin = static_cast<const std::byte*>(flat.raw());
    for (int id : ids) {
      const auto* at = static_cast<const std::byte*>(store.Grad(id).raw());
      EXPECT_GE(at, begin);
      EXPECT_LE(at + store.Grad(id).num_bytes(), begin + flat.num_bytes());
      EXPECT_EQ((at - begin) % 128, 0);
      EXPECT_TRUE(places.insert(at).second);
    }
    for (int64_t i = 0; i < flat.num_elements(); ++i) EXPECT_EQ(flat.data<float>()[i], 0);
  }
}

TEST(ParamStore, WeightsAreTheMastersInF32AndRoundedCopiesInBf16) {
  ParamStore f32 = MakeStore({}, {});
  EXPECT_EQ(f32.Weight(2).raw(), f32.Master(2).raw());
  ParamStore half = MakeStore({}, {}, {.compute_dtype = DType::kBF16});
  for (int64_t i = 0; i < 72; ++i) {
    EXPECT_EQ(half.Weight(2).data<bf16>()[i].bits, bf16(half.Master(2).data<float>()[i]).bits);
    EXPECT_EQ(half.Master(2).data<float>()[i], f32.Master(2).data<float>()[i]);
  }
}

TEST(ParamStore, InitialValuesDoNotDependOnTheMeshOrTheZeroStage) {
  const ParamStore whole = MakeStore({}, {});
  for (int layout = 0; layout < 8; ++layout) {
    const MeshShape mesh{.dp = 3, .tp = layout % 2 + 1};
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const ParamStore part = MakeStore(mesh, mesh.CoordOf(rank), {.zero_stage = layout / 2});
      for (int id = 0; id < part.num_params(); ++id) {
        const int64_t whole_columns = NumColumns(whole.Master(id).shape()), columns = NumColumns(part.Master(id).shape());
        for (const Slab& slab : part.SlabsOf(id)) {
          for (int64_t row = slab.row_begin; row < slab.row_end; ++row) {
            for (int64_t column = slab.col_begin; column < slab.col_end; ++column) {
              EXPECT_EQ(part.Master(id).data<float>()[(slab.local_row + row - slab.row_begin) * columns + column - slab.col_begin],
                        whole.Master(id).data<float>()[row * whole_columns + column]);
            }
          }
        }
      }
    }
  }
}

TEST(ParamStore, InitialValuesHaveTheAskedSpread) {
  ParamStore store({{.name = "w", .shape = {200, 100}, .init = {Init::Kind::kNormal, 0.5}}}, {}, {}, Device::Cpu(), {});
  const auto stream = Stream::Create(Device::Cpu());
  store.Initialize(*stream, 3);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 20000; ++i) {
    sum += store.Master(0).data<float>()[i];
    squares += std::pow(store.Master(0).data<float>()[i], 2);
  }
  EXPECT_NEAR(sum / 20000, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / 20000), 0.5, 0.01);
}

TEST(ParamStore, ServingHoldsWeightsAlone) {
  const ParamStore training = MakeStore({}, {});
  ParamStore serving(Specs(), {}, {}, Device::Cpu(), {.training = false});
  EXPECT_EQ(serving.device_arena().bytes() * 4, training.device_arena().bytes());
}

TEST(ParamStore, AnOffloadedOptimizerLivesOnTheHost) {
  const ParamStore here = MakeStore({}, {}), there = MakeStore({}, {}, {.offload_optimizer = true});
  EXPECT_EQ(here.host_arena().bytes(), 0u);
  EXPECT_EQ(there.device_arena().bytes() * 2, here.device_arena().bytes()) << "weights and gradients remain";
  EXPECT_EQ(there.host_arena().bytes() * 4, here.device_arena().bytes() * 3) << "masters and two moments";
  EXPECT_NE(there.Weight(2).raw(), there.Master(2).raw());
  for (int64_t i = 0; i < 72; ++i) EXPECT_EQ(there.Weight(2).data<float>()[i], there.Master(2).data<float>()[i]);
}

// Every element of every parameter is owned, and voted for, exactly once.
TEST(ParamStore, VotersTileEveryParameter) {
  for (int code = 0; code < 64; ++code) {
    const MeshShape mesh{.pp = code % 2 + 1, .dp = code / 2 % 4 + 1, .tp = code / 8 % 2 + 1};
    std::vector<ParamSpec> specs = Specs();
    if (mesh.pp == 2) specs[0].stages = {0, 1};  // as a tied table
    for (size_t id = 1; mesh.pp == 2 && id < specs.size(); ++id) specs[id].stages = {1};
    std::vector<std::map<std::pair<int64_t, int64_t>, int>> votes(specs.size());
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const ParamLayout layout(specs, mesh, mesh.CoordOf(rank), {.zero_stage = code / 16});
      for (int id = 0; id < layout.num_params(); ++id) {
        if (!layout.Votes(id)) continue;
        for (const Slab& slab : layout.OwnedSlabs(id)) {
          for (int64_t row = slab.row_begin; row < slab.row_end; ++row) {
            for (int64_t column = slab.col_begin; column < slab.col_end; ++column) ++votes[static_cast<size_t>(id)][{row, column}];
          }
        }
      }
    }
    for (size_t id = 0; id < specs.size(); ++id) {
      EXPECT_EQ(votes[id].size(), static_cast<size_t>(specs[id].shape.num_elements())) << specs[id].name << ", case " << code;
      for (const auto& [place, count] : votes[id]) EXPECT_EQ(count, 1) << specs[id].name << ", case " << code;
    }
  }
}

}  // namespace
}  // namespace weft
