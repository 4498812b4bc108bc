// The mesh: how ranks are laid out over the axes of parallelism. Pure values; communicators come on top.
//
// An *axis* is a mesh axis, a *dim* a tensor dimension. tp is innermost (neighbouring ranks, the fastest links), pp
// outermost: rank = (((pp * DP + dp) * CP + cp) * EP + ep) * TP + tp.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class Axis : uint8_t { kPp, kDp, kCp, kEp, kTp };
inline constexpr std::array<Axis, 5> kAllAxes = {Axis::kPp, Axis::kDp, Axis::kCp, Axis::kEp, Axis::kTp};
const char* AxisName(Axis axis);  // "pp", "dp", ...

// A set of axes, as a value.
class AxisSet {
 public:
  AxisSet() = default;
  AxisSet(std::initializer_list<Axis> axes) {
    for (Axis axis : axes) bits_ |= Bit(axis);
  }
  bool contains(Axis axis) const { return (bits_ & Bit(axis)) != 0; }
  bool operator==(const AxisSet&) const = default;

 private:
  static uint8_t Bit(Axis axis) { return static_cast<uint8_t>(1u << static_cast<unsigned>(axis)); }
  uint8_t bits_ = 0;
};

struct Coord {
  std::array<int, 5> index{};  // by Axis
  int of(Axis axis) const { return index[static_cast<size_t>(axis)]; }
  int& of(Axis axis) { return index[static_cast<size_t>(axis)]; }
  bool operator==(const Coord&) const = default;
  std::string ToString() const;  // "pp0 dp1 tp0": cp and ep only where they are not 0
};

struct MeshShape {
  int pp = 1, dp = 1, cp = 1, ep = 1, tp = 1;

  int extent(Axis axis) const;
  int size() const { return pp * dp * cp * ep * tp; }
  Coord CoordOf(int rank) const;
  int RankOf(const Coord& coord) const;
  // The ranks that differ from `coord` in `axis` alone, in order of their index on it.
  std::vector<int> Peers(const Coord& coord, Axis axis) const;
  bool operator==(const MeshShape&) const = default;
  std::string ToString() const;  // "pp2 dp2 tp2"
};

}  // namespace weft
