// Where a parameter's pieces lie on each rank (see param_spec.h).
#include "parallel/param_spec.h"

#include <algorithm>

#include "core/check.h"

namespace weft {
namespace {

struct Range {
  int64_t begin, end;
};

// The ranges along `dim` that this coordinate holds: one a fused part.
std::vector<Range> HeldRanges(const ParamSpec& spec, const MeshShape& mesh, const Coord& coord, int dim) {
  const int64_t extent = dim == 0 ? NumRows(spec.shape) : NumColumns(spec.shape);
  for (const Split& split : spec.splits) {
    if (split.dim != dim) continue;
    const std::vector<int64_t> parts = split.parts.empty() ? std::vector<int64_t>{extent} : split.parts;
    const int64_t shares = mesh.extent(split.axis), mine = coord.of(split.axis);
    std::vector<Range> held;
    int64_t begin = 0;
    for (int64_t part : parts) {
      WEFT_CHECK_EQ(part % shares, 0) << spec.name << ": a piece of " << part << " over " << AxisName(split.axis);
      held.push_back({begin + part / shares * mine, begin + part / shares * (mine + 1)});
      begin += part;
    }
    WEFT_CHECK_EQ(begin, extent) << spec.name << ": the fused pieces do not add up";
    return held;
  }
  return {{0, extent}};
}

int64_t TotalLength(const std::vector<Range>& ranges) {
  int64_t total = 0;
  for (const Range& range : ranges) total += range.end - range.begin;
  return total;
}

}  // namespace

int64_t NumRows(const Shape& shape) { return shape[0]; }
int64_t NumColumns(const Shape& shape) { return shape.row_elements(); }

Shape LocalShape(const ParamSpec& spec, const MeshShape& mesh) {
  Shape local = spec.shape;
  for (int dim = 0; dim < spec.shape.num_dims(); ++dim) {
    local.set(dim, TotalLength(HeldRanges(spec, mesh, Coord{}, dim)));
  }
  return local;
}

int64_t ShardRows(int64_t num_rows, int num_shards, int64_t row_granule) {
  const int64_t rows = (num_rows + num_shards - 1) / num_shards;
  return (rows + row_granule - 1) / row_granule * row_granule;
}

std::vector<Slab> LocalSlabs(const ParamSpec& spec, const MeshShape& mesh, const Coord& coord, int num_shards,
                             int shard) {
  const std::vector<Range> rows = HeldRanges(spec, mesh, coord, 0);
  const std::vector<Range> columns = spec.shape.num_dims() == 1 ? std::vector<Range>{{0, 1}} : HeldRanges(spec, mesh, coord, 1);
  WEFT_CHECK_EQ(columns.size(), 1u) << spec.name << ": fused pieces along columns";
  const int64_t shard_rows = ShardRows(TotalLength(rows), num_shards, spec.row_granule);
  const int64_t shard_begin = shard_rows * shard, shard_end = shard_begin + shard_rows;
  std::vector<Slab> slabs;
  int64_t local = 0;  // row in the split tensor, before ZeRO
  for (const Range& range : rows) {
    const int64_t length = range.end - range.begin;
    const int64_t begin = std::max(local, shard_begin), end = std::min(local + length, shard_end);
    const int64_t row_begin = range.begin + begin - local, row_end = range.begin + end - local;
    if (begin < end && !slabs.empty() && slabs.back().row_end == row_begin) {
      slabs.back().row_end = row_end;  // fused pieces that are not cut apart
    } else if (begin < end) {
      slabs.push_back({row_begin, row_end, columns[0].begin, columns[0].end, begin - shard_begin});
    }
    local += length;
  }
  return slabs;
}

std::vector<ForeignSlab> ForeignSlabs(const ParamSpec& spec, const std::vector<Slab>& slabs) {
  std::vector<ForeignSlab> result;
  for (const Slab& slab : slabs) {
    for (const ForeignPiece& piece : spec.foreign) {
      const int64_t begin = std::max(slab.row_begin, piece.row_begin), end = std::min(slab.row_end, piece.row_end);
      if (begin >= end) continue;
      Shape shape = spec.shape;
      shape.set(0, piece.row_end - piece.row_begin);
      result.push_back({piece.name, shape, piece.transposed,
                        {begin - piece.row_begin, end - piece.row_begin, slab.col_begin, slab.col_end,
                         slab.local_row + begin - slab.row_begin}});
    }
  }
  return result;
}

}  // namespace weft
