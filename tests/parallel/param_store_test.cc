// The parameter store: layout of flat buffers, and initial values that do not depend on the mesh.
#include "parallel/param_store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace weft {
namespace {

std::vector<ParamSpec> Specs() {
  return {{.name = "embedding", .shape = {10, 6}, .group = 0, .splits = {{Axis::kTp, 0, {}}}},
          {.name = "norm", .shape = {6}, .group = 1, .init = {Init::Kind::kOnes, 0}},
          {.name = "qkv", .shape = {12, 6}, .group = 1, .splits = {{Axis::kTp, 0, {8, 2, 2}}}, .init = {Init::Kind::kNormal, 0.5}},
          {.name = "bias", .shape = {4}, .group = 1, .init = {Init::Kind::kZeros, 0}},
          {.name = "out", .shape = {6, 8}, .group = 1, .splits = {{Axis::kTp, 1, {}}}}};
}

ParamStore MakeStore(const MeshShape& mesh, const Coord& coord, ParamStore::Options options = {}) {
  ParamStore store(Specs(), mesh, coord, Device::Cpu(), options);
  const auto stream = Stream::Create(Device::Cpu());
  store.Initialize(*stream, 11);
  return store;
}

TEST(ParamStore, GroupsAreFlatBuffersThatHoldTheirParametersAndZeros) {
  ParamStore store = MakeStore({}, {});
  ASSERT_EQ(store.num_groups(), 2);
  const TensorView group = store.GroupGrads(1);
  const auto* begin = static_cast<const std::byte*>(group.raw());
  std::set<const std::byte*> places;
  for (int id : {1, 2, 3, 4}) {
    const auto* at = static_cast<const std::byte*>(store.Grad(id).raw());
    EXPECT_GE(at, begin);
    EXPECT_LE(at + store.Grad(id).num_bytes(), begin + group.num_bytes());
    EXPECT_EQ((at - begin) % 128, 0);
    EXPECT_TRUE(places.insert(at).second);
  }
  for (int64_t i = 0; i < group.num_elements(); ++i) EXPECT_EQ(group.data<float>()[i], 0);
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

TEST(ParamStore, InitialValuesDoNotDependOnTheMesh) {
  const ParamStore whole = MakeStore({}, {});
  for (int tp : {1, 2}) {
    const MeshShape mesh{.dp = 2, .tp = tp};
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const ParamStore part = MakeStore(mesh, mesh.CoordOf(rank));
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
  EXPECT_EQ(serving.arena().bytes() * 4, training.arena().bytes());
}

}  // namespace
}  // namespace weft
