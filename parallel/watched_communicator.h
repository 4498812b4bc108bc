// WatchedCommunicator: a communicator that notes each call in the rank's record (rank_record.h), for the watchdog.
//
// Wraps any communicator; what is split from it is watched as well. On CPU streams a call is noted where it runs:
// from its beginning, when the rank is there, to its end, when the others have come too. On CUDA streams it is noted
// where it is issued.
#pragma once

#include <memory>

#include "parallel/communicator.h"
#include "parallel/rank_record.h"

namespace weft {

// `inner` is a whole job's communicator, wrapped on every rank in the same order; `record` must outlive the result.
std::unique_ptr<Communicator> WatchCommunicator(std::unique_ptr<Communicator> inner, RankRecord& record);

}  // namespace weft
