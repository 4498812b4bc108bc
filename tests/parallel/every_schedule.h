// Every schedule that property tests go through: stages, virtual stages and micro-batches of all sizes up to a bound, over
// even and uneven layouts, tied and untied.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/str_cat.h"
#include "parallel/schedule.h"

namespace weft {

inline constexpr int kMaxStages = 8;
inline constexpr int kMaxMicroBatches = 32;

struct ScheduleCase {
  ScheduleType type;
  int interleave;
  int num_micro_batches;
  StageLayout layout;
  std::string ToString() const {
    return StrCat("schedule ", static_cast<int>(type), ", interleave ", interleave, ", micro-batches ", num_micro_batches,
                  layout.tied ? ", tied\n" : "\n", weft::ToString(layout));
  }
};

// One block a virtual stage: their costs are equal.
inline StageLayout EvenLayout(int pp, int interleave, bool tied = false) {
  return *MakeStageLayout(pp * interleave, pp, interleave, {}, tied);
}

// From 0 to 2 blocks a virtual stage, none only where the embedding or the head is.
inline StageLayout UnevenLayout(int pp, int interleave, int seed, bool tied) {
  std::vector<int64_t> blocks;
  int64_t sum = 0;
  for (int stage = 0; stage < pp * interleave; ++stage) {
    const bool end = stage == 0 || stage == pp * interleave - 1;
    blocks.push_back(end && pp > 1 ? (seed + stage) % 3 : 1 + (seed + stage) % 2);
    sum += blocks.back();
  }
  if (sum == 0) sum = blocks[0] = 1;  // a model has a block
  return *MakeStageLayout(static_cast<int>(sum), pp, interleave, blocks, tied);
}

inline void ForEverySchedule(const std::function<void(const ScheduleCase&)>& body) {
  for (int pp = 1; pp <= kMaxStages; ++pp) {
    for (int m = 1; m <= kMaxMicroBatches; ++m) {
      const StageLayout layout = UnevenLayout(pp, 1, m, m % 2 == 0);
      for (const ScheduleType type : {ScheduleType::kGPipe, ScheduleType::k1F1B, ScheduleType::kZeroBubble}) {
        body({type, 1, m, layout});
      }
      for (int interleave = 1; interleave <= (pp > 1 ? 4 : 1); ++interleave) {
        body({ScheduleType::kInterleaved, interleave, m, UnevenLayout(pp, interleave, m + pp, m % 2 == 0)});
      }
    }
  }
}

}  // namespace weft
