// Whether the ranks have made the same collectives, for the price of one number in a sum that they make anyway.
//
// A collective whose size differs between ranks need not fail: in Open MPI 4.1 an all-reduce of larger messages (a ring)
// then ends without an error and with wrong sums. So each communicator keeps a digest of its collectives (operation,
// dtype, elements, root, in order: rank_record.h), and over its n ranks the shares (n - 1) d of the first and -d of each
// other one add up to zero where all digests d are equal; where they are not, by chance alone, once in four billion times.
#pragma once

#include <cstdint>

#include "core/status.h"
#include "parallel/communicator.h"
#include "parallel/rank_record.h"

namespace weft {

// This rank's share. The sum over all ranks of the job is 0 if all groups' ranks have issued the same collectives.
int64_t CallImbalance(const RankRecord& record);

// Names the rank of a group whose collectives are not the others', where the sum was not 0. Collective, on the host;
// every rank gets the same error.
Status DescribeCallDisagreement(Communicator& world, const RankRecord& record);

}  // namespace weft
