// The sum (or maximum) of what the ranks of a group bring, on the host: for thread ranks, and for the reduce-scatters of MPI
// (its all-reduce is MPI's own, in an order of its own).
//
// In rank order, so the result is the same bits on every run and every rank.
#pragma once

#include <cstddef>
#include <vector>

#include "core/dtype.h"
#include "parallel/communicator.h"

namespace weft {

// out[i] = op over r of shares[r][i], i < n. dtype is f32, i64 or bf16; bf16 is summed in f32 and rounded once, at the
// end. `out` may be one of the shares.
void ReduceInRankOrder(const std::vector<const std::byte*>& shares, ReduceOp op, DType dtype, int64_t n, std::byte* out);

}  // namespace weft
