// ParamSpec: the one description of a parameter. Initial values, sharding, optimizer state, checkpoints, foreign names,
// plans and listings all read this table, so adding a parameter is adding one row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/shape.h"
#include "parallel/mesh.h"

namespace weft {

// How an axis cuts a tensor: dim `dim` into equal consecutive shares. `parts` are the extents of fused pieces along the
// dim (q, k, v), each cut separately, so that every share holds a share of each; empty means one piece.
struct Split {
  Axis axis = Axis::kTp;
  int dim = 0;
  std::vector<int64_t> parts;
};

// The name and place of a fused piece in Hugging Face's naming: rows [row_begin, row_end) of the global tensor.
struct ForeignPiece {
  std::string name;
  int64_t row_begin = 0;
  int64_t row_end = 0;
  bool transposed = false;  // Hugging Face's tensor is the transpose of the piece (a matrix): GPT-2's projections
};

struct Init {
  enum class Kind : uint8_t { kNormal, kOnes, kZeros };
  Kind kind = Kind::kNormal;
  double standard_deviation = 0.02;
};

struct ParamSpec {
  std::string name;             // "layers.3.attn.wqkv": the RNG stream
  Shape shape;                  // global, before any sharding; 1 or 2 dims
  int group = 0;                // what is gathered, released and reduced together: embedding, one block, head
  std::vector<Split> splits;    // TP, EP; empty: replicated
  std::vector<int> stages;      // pipeline owners; a tied embedding has two, the first and the last
  AxisSet grad_sum_axes;        // axes, besides dp, over which gradients are partial sums
  int64_t row_granule = 1;      // ZeRO shards hold a multiple of this many rows (FP8 blocks must not straddle)
  bool persist = false;         // small vectors stay whole under ZeRO 3
  std::vector<ForeignPiece> foreign;  // in row order, tiling the rows
  Init init;
  bool trainable = true;
  bool weight_decay = true;
};

// A box of a global tensor that lies row by row in a local one.
struct Slab {
  int64_t row_begin = 0, row_end = 0;  // in the global tensor
  int64_t col_begin = 0, col_end = 0;  // in the global tensor; [0, 1) for a vector
  int64_t local_row = 0;               // where row_begin lies in the local (sharded) tensor
  bool operator==(const Slab&) const = default;
};

int64_t NumRows(const Shape& shape);     // dim 0
int64_t NumColumns(const Shape& shape);  // the rest; 1 for a vector

// The shape after the splits, before ZeRO.
Shape LocalShape(const ParamSpec& spec, const MeshShape& mesh);

// Which of `num_shards` equal row ranges of a tensor of `num_rows` is number `shard`. All but the last hold
// `ShardRows`; the tail is padding that belongs to nobody.
int64_t ShardRows(int64_t num_rows, int num_shards, int64_t row_granule);

// What the rank at `coord` holds of `spec`: boxes in the global tensor, in order of local rows. With num_shards > 1
// only ZeRO shard `shard` of the split tensor. Over all coordinates that differ in split axes and all shards the boxes
// tile the tensor exactly once.
std::vector<Slab> LocalSlabs(const ParamSpec& spec, const MeshShape& mesh, const Coord& coord, int num_shards = 1,
                             int shard = 0);

// A slab seen from Hugging Face's tensors: slabs cut at the borders of the fused pieces. Rows count within the foreign
// tensor; local_row still counts in the local tensor.
struct ForeignSlab {
  std::string name;         // the foreign tensor
  Shape shape;              // its whole shape, in our orientation
  bool transposed = false;  // it is stored the other way round
  Slab slab;
};
std::vector<ForeignSlab> ForeignSlabs(const ParamSpec& spec, const std::vector<Slab>& slabs);

}  // namespace weft
