// ParamSpec: over every mesh and shard count, the boxes of all ranks tile every tensor exactly once, and lie in the
// local tensors without gap; the same boxes under foreign names tile the foreign tensors.
#include "parallel/param_spec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/str_cat.h"

namespace weft {
namespace {

ParamSpec Fused(int64_t q, int64_t k, int64_t columns) {
  return {.name = "qkv", .shape = {q + 2 * k, columns}, .splits = {{Axis::kTp, 0, {q, k, k}}},
          .foreign = {{"q", 0, q}, {"k", q, q + k}, {"v", q + k, q + 2 * k}}};
}

// Tensors whose split dims divide by 1, 2, 4 and 8; other sizes are odd.
std::vector<ParamSpec> SomeSpecs() {
  std::vector<ParamSpec> specs;
  for (int64_t columns : {1, 7}) specs.push_back(Fused(32, 8, columns));
  specs.push_back({.name = "gate_up", .shape = {48, 3}, .splits = {{Axis::kTp, 0, {24, 24}}}, .foreign = {{"gate", 0, 24}, {"up", 24, 48}}});
  for (int64_t rows : {1, 5, 17}) {
    specs.push_back({.name = "down", .shape = {rows, 16}, .splits = {{Axis::kTp, 1, {}}}, .foreign = {{"down", 0, rows}}});
    specs.push_back({.name = "norm", .shape = {rows}, .foreign = {{"norm", 0, rows}}});
  }
  specs.push_back({.name = "bias", .shape = {24}, .splits = {{Axis::kTp, 0, {8, 16}}}, .foreign = {{"b1", 0, 8}, {"b2", 8, 24}}});
  specs.push_back({.name = "experts", .shape = {16, 8}, .splits = {{Axis::kEp, 0, {}}, {Axis::kTp, 1, {}}}, .foreign = {{"experts", 0, 16}}});
  for (int64_t granule : {2, 4}) {
    ParamSpec spec = Fused(16, 8, 5);
    spec.row_granule = granule;
    specs.push_back(spec);
  }
  return specs;
}

std::vector<MeshShape> SomeMeshes() {
  std::vector<MeshShape> meshes;
  for (int dp : {1, 2, 3, 8}) {
    for (int ep : {1, 2, 4}) {
      for (int tp : {1, 2, 4, 8}) {
        if (dp * ep * tp <= 8) meshes.push_back({.dp = dp, .ep = ep, .tp = tp});
      }
    }
  }
  return meshes;
}

// Coordinates that differ in axes that split the spec: one for each share.
std::vector<Coord> Shares(const ParamSpec& spec, const MeshShape& mesh) {
  std::vector<Coord> coords = {Coord{}};
  for (const Split& split : spec.splits) {
    std::vector<Coord> more;
    for (const Coord& coord : coords) {
      for (int i = 0; i < mesh.extent(split.axis); ++i) {
        more.push_back(coord);
        more.back().of(split.axis) = i;
      }
    }
    coords = more;
  }
  return coords;
}

// Counts how often each element of a tensor is held.
struct Cover {
  explicit Cover(const Shape& shape) : shape(shape), count(static_cast<size_t>(shape.num_elements())) {}
  void Add(const Slab& slab) {
    for (int64_t row = slab.row_begin; row < slab.row_end; ++row) {
      for (int64_t column = slab.col_begin; column < slab.col_end; ++column) ++count[static_cast<size_t>(row * NumColumns(shape) + column)];
    }
  }
  bool IsOnceEverywhere() const {
    return std::all_of(count.begin(), count.end(), [](int times) { return times == 1; });
  }
  Shape shape;
  std::vector<int> count;
};

template <typename Visit>
void ForEachLayout(const Visit& visit) {
  for (const ParamSpec& spec : SomeSpecs()) {
    for (const MeshShape& mesh : SomeMeshes()) {
      for (int num_shards : {1, 2, 3, 5, 8}) {
        SCOPED_TRACE(StrCat(spec.name, " ", spec.shape.ToString(), " on ", mesh.ToString(), ", ", num_shards, " shards"));
        visit(spec, mesh, num_shards);
      }
    }
  }
}

TEST(LocalSlabs, TileEveryTensorExactlyOnce) {
  ForEachLayout([](const ParamSpec& spec, const MeshShape& mesh, int num_shards) {
    Cover cover(spec.shape);
    for (const Coord& coord : Shares(spec, mesh)) {
      for (int shard = 0; shard < num_shards; ++shard) {
        for (const Slab& slab : LocalSlabs(spec, mesh, coord, num_shards, shard)) cover.Add(slab);
      }
    }
    EXPECT_TRUE(cover.IsOnceEverywhere());
  });
}

TEST(LocalSlabs, FollowEachOtherInTheLocalTensor) {
  ForEachLayout([](const ParamSpec& spec, const MeshShape& mesh, int num_shards) {
    const Shape local = LocalShape(spec, mesh);
    const int64_t shard_rows = ShardRows(NumRows(local), num_shards, spec.row_granule);
    for (const Coord& coord : Shares(spec, mesh)) {
      int64_t held = 0;
      for (int shard = 0; shard < num_shards; ++shard) {
        int64_t next = 0;
        for (const Slab& slab : LocalSlabs(spec, mesh, coord, num_shards, shard)) {
          EXPECT_EQ(slab.local_row, next);
          EXPECT_EQ(slab.col_end - slab.col_begin, NumColumns(local));
          next += slab.row_end - slab.row_begin;
        }
        EXPECT_LE(next, shard_rows);
        held += next;
      }
      EXPECT_EQ(held, NumRows(local));
    }
  });
}

TEST(LocalSlabs, DoNotDependOnAxesThatDoNotSplit) {
  const MeshShape mesh{.pp = 2, .dp = 2, .tp = 2};
  for (const ParamSpec& spec : SomeSpecs()) {
    for (int rank = 0; rank < mesh.size(); ++rank) {
      Coord coord = mesh.CoordOf(rank);
      const std::vector<Slab> slabs = LocalSlabs(spec, mesh, coord);
      coord.of(Axis::kDp) = coord.of(Axis::kPp) = 0;
      EXPECT_EQ(LocalSlabs(spec, mesh, coord), slabs) << spec.name;
    }
  }
}

TEST(LocalSlabs, GiveEveryShareAShareOfEachFusedPiece) {
  const ParamSpec spec = Fused(8, 2, 3);
  const MeshShape mesh{.tp = 2};
  Coord second;
  second.of(Axis::kTp) = 1;
  EXPECT_EQ(LocalSlabs(spec, mesh, second), (std::vector<Slab>{{4, 8, 0, 3, 0}, {9, 10, 0, 3, 4}, {11, 12, 0, 3, 5}}));
  EXPECT_EQ(LocalShape(spec, mesh), (Shape{6, 3}));
  // Its second ZeRO shard of two: rows 3 to 6 of the local tensor.
  EXPECT_EQ(LocalSlabs(spec, mesh, second, 2, 1), (std::vector<Slab>{{7, 8, 0, 3, 0}, {9, 10, 0, 3, 1}, {11, 12, 0, 3, 2}}));
}

TEST(LocalSlabs, AreJoinedWhereNothingLiesBetween) {
  EXPECT_EQ(LocalSlabs(Fused(8, 2, 3), MeshShape{}, Coord{}), (std::vector<Slab>{{0, 12, 0, 3, 0}}));
}

TEST(ForeignSlabs, TileTheForeignTensorsAndKeepTheLocalRows) {
  ForEachLayout([](const ParamSpec& spec, const MeshShape& mesh, int num_shards) {
    std::map<std::string, Cover> covers;
    for (const Coord& coord : Shares(spec, mesh)) {
      for (int shard = 0; shard < num_shards; ++shard) {
        const std::vector<Slab> slabs = LocalSlabs(spec, mesh, coord, num_shards, shard);
        int64_t next = 0;
        for (const ForeignSlab& foreign : ForeignSlabs(spec, slabs)) {
          EXPECT_EQ(foreign.slab.local_row, next);
          next += foreign.slab.row_end - foreign.slab.row_begin;
          const auto [cover, is_new] = covers.try_emplace(foreign.name, foreign.shape);
          EXPECT_EQ(cover->second.shape, foreign.shape);
          cover->second.Add(foreign.slab);
        }
      }
    }
    EXPECT_EQ(covers.size(), spec.foreign.size());
    for (const auto& [name, cover] : covers) EXPECT_TRUE(cover.IsOnceEverywhere()) << name;
  });
}

TEST(ShardRows, AreEqualAndGranular) {
  for (int64_t rows : {1, 7, 128, 1000}) {
    for (int shards : {1, 3, 8}) {
      for (int64_t granule : {1, 16, 128}) {
        const int64_t each = ShardRows(rows, shards, granule);
        EXPECT_EQ(each % granule, 0);
        EXPECT_GE(each * shards, rows);
        EXPECT_LT((each - granule) * shards, rows);  // no larger than needed
      }
    }
  }
}

}  // namespace
}  // namespace weft
