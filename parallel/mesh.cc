// Coordinates and ranks (see mesh.h).
#include "parallel/mesh.h"

#include "core/check.h"
#include "core/str_cat.h"

namespace weft {

const char* AxisName(Axis axis) {
  static constexpr const char* kNames[] = {"pp", "dp", "cp", "ep", "tp"};
  return kNames[static_cast<size_t>(axis)];
}

std::string Coord::ToString() const {
  std::string text;
  for (Axis axis : kAllAxes) {
    const bool always = axis == Axis::kPp || axis == Axis::kDp || axis == Axis::kTp;
    if (!always && of(axis) == 0) continue;
    StrAppend(&text, text.empty() ? "" : " ", AxisName(axis), of(axis));
  }
  return text;
}

int MeshShape::extent(Axis axis) const {
  const int extents[] = {pp, dp, cp, ep, tp};
  return extents[static_cast<size_t>(axis)];
}

Coord MeshShape::CoordOf(int rank) const {
  WEFT_CHECK(rank >= 0 && rank < size()) << "rank " << rank << " of " << size();
  Coord coord;
  for (auto axis = kAllAxes.rbegin(); axis != kAllAxes.rend(); ++axis) {
    coord.of(*axis) = rank % extent(*axis);
    rank /= extent(*axis);
  }
  return coord;
}

int MeshShape::RankOf(const Coord& coord) const {
  int rank = 0;
  for (Axis axis : kAllAxes) rank = rank * extent(axis) + coord.of(axis);
  return rank;
}

std::vector<int> MeshShape::Peers(const Coord& coord, Axis axis) const {
  std::vector<int> ranks;
  for (int i = 0; i < extent(axis); ++i) {
    Coord peer = coord;
    peer.of(axis) = i;
    ranks.push_back(RankOf(peer));
  }
  return ranks;
}

std::string MeshShape::ToString() const {
  std::string text;
  for (Axis axis : kAllAxes) {
    const bool always = axis == Axis::kPp || axis == Axis::kDp || axis == Axis::kTp;
    if (!always && extent(axis) == 1) continue;
    StrAppend(&text, text.empty() ? "" : " ", AxisName(axis), extent(axis));
  }
  return text;
}

}  // namespace weft
