// The mesh: ranks and coordinates are the same thing said twice, tp innermost, and peers differ on one axis alone.
#include "parallel/mesh.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace weft {
namespace {

// Every mesh of at most `most` ranks.
std::vector<MeshShape> AllMeshes(int most) {
  std::vector<MeshShape> meshes;
  for (int pp = 1; pp <= most; ++pp) {
    for (int dp = 1; pp * dp <= most; ++dp) {
      for (int cp = 1; pp * dp * cp <= most; ++cp) {
        for (int ep = 1; pp * dp * cp * ep <= most; ++ep) {
          for (int tp = 1; pp * dp * cp * ep * tp <= most; ++tp) meshes.push_back({pp, dp, cp, ep, tp});
        }
      }
    }
  }
  return meshes;
}

TEST(Mesh, RanksAndCoordinatesAreInverse) {
  for (const MeshShape& mesh : AllMeshes(24)) {
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const Coord coord = mesh.CoordOf(rank);
      EXPECT_EQ(mesh.RankOf(coord), rank) << mesh.ToString();
      for (Axis axis : kAllAxes) {
        EXPECT_GE(coord.of(axis), 0);
        EXPECT_LT(coord.of(axis), mesh.extent(axis));
      }
    }
  }
}

TEST(Mesh, TpIsInnermostAndPpOutermost) {
  const MeshShape mesh{.pp = 2, .dp = 3, .tp = 4};
  EXPECT_EQ(mesh.CoordOf(1).of(Axis::kTp), 1);
  EXPECT_EQ(mesh.CoordOf(4).of(Axis::kDp), 1);
  EXPECT_EQ(mesh.CoordOf(12).of(Axis::kPp), 1);
  EXPECT_EQ(mesh.RankOf(mesh.CoordOf(23)), 23);
}

TEST(Mesh, PeersDifferOnOneAxisAlone) {
  for (const MeshShape& mesh : AllMeshes(16)) {
    for (Axis axis : kAllAxes) {
      std::multiset<int> met;
      for (int rank = 0; rank < mesh.size(); ++rank) {
        const std::vector<int> peers = mesh.Peers(mesh.CoordOf(rank), axis);
        ASSERT_EQ(static_cast<int>(peers.size()), mesh.extent(axis));
        EXPECT_EQ(peers[static_cast<size_t>(mesh.CoordOf(rank).of(axis))], rank);
        EXPECT_TRUE(std::is_sorted(peers.begin(), peers.end()));
        for (int peer : peers) {
          Coord same = mesh.CoordOf(peer);
          same.of(axis) = mesh.CoordOf(rank).of(axis);
          EXPECT_EQ(same, mesh.CoordOf(rank));
          EXPECT_EQ(mesh.Peers(mesh.CoordOf(peer), axis), peers);
        }
        met.insert(peers.begin(), peers.end());
      }
      for (int rank = 0; rank < mesh.size(); ++rank) EXPECT_EQ(static_cast<int>(met.count(rank)), mesh.extent(axis));
    }
  }
}

TEST(Mesh, SaysItsNames) {
  EXPECT_EQ((MeshShape{}).ToString(), "pp1 dp1 tp1");
  EXPECT_EQ((MeshShape{.dp = 2, .cp = 3}).ToString(), "pp1 dp2 cp3 tp1");
  EXPECT_EQ((MeshShape{.pp = 2, .dp = 2, .tp = 2}).CoordOf(7).ToString(), "pp1 dp1 tp1");
}

TEST(AxisSet, ContainsWhatItWasMadeOf) {
  const AxisSet set{Axis::kTp, Axis::kPp};
  EXPECT_TRUE(set.contains(Axis::kTp));
  EXPECT_TRUE(set.contains(Axis::kPp));
  EXPECT_FALSE(set.contains(Axis::kDp));
  EXPECT_FALSE(AxisSet{}.contains(Axis::kTp));
}

}  // namespace
}  // namespace weft
