// A rank's record in words, as the watchdog prints it.
#pragma once

#include <string>

#include "parallel/rank_record.h"

namespace weft {

// "step 12, micro-batch 3, forward of block 7", "step 12, saving a checkpoint".
std::string Describe(const Position& position);
// The call that the rank is inside of: "the all-reduce of 4096 f32", "the receive of 64 bf16 from dp rank 1".
std::string DescribeCall(const CommunicatorRecord& record);
std::string DescribeCall(const CallRecord& call);
std::string Describe(const Place& place, int head_group);

}  // namespace weft
