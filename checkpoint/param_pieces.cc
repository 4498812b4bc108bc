// From parameters to named rectangles (see param_pieces.h).
#include "checkpoint/param_pieces.h"

#include "core/str_cat.h"

namespace weft {

std::vector<TensorPiece> PiecesOf(const ParamSpec& spec, const std::vector<Slab>& slabs, TensorView local,
                                  std::string_view prefix) {
  std::vector<TensorPiece> pieces;
  for (const ForeignSlab& part : ForeignSlabs(spec, slabs)) {
    const Slab& slab = part.slab;
    const int64_t num_rows = slab.row_end - slab.row_begin;
    pieces.push_back({.name = StrCat(prefix, part.name), .global_shape = part.shape, .row_begin = slab.row_begin,
                      .row_end = slab.row_end, .col_begin = slab.col_begin, .col_end = slab.col_end,
                      .data = local.Rows(slab.local_row, slab.local_row + num_rows), .transposed = part.transposed});
  }
  return pieces;
}

}  // namespace weft
