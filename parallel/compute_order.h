// The order in which pipeline ranks compute: the first pass of a schedule. All schedules come from one list scheduler, which
// plays the pipeline in unit time and lets every free rank pick its next task; they differ in how many micro-batches may
// be in flight on a rank, and in what it prefers.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "parallel/stage_layout.h"

namespace weft {

// With one pipeline rank they are all the same: each micro-batch forward and backward in turn.
enum class ScheduleType : uint8_t {
  kGPipe,        // all forwards, then all backwards (Huang et al., "GPipe", 2019)
  k1F1B,         // one forward, one backward: at most pp micro-batches in flight (Narayanan et al., "PipeDream", 2019)
  kInterleaved,  // 1F1B over several virtual stages a rank: a smaller bubble (Narayanan et al., "Megatron-LM", 2021)
  kZeroBubble,   // weight gradients fill the gaps of 1F1B (Qi et al., "Zero Bubble Pipeline Parallelism", 2023)
};
// What configurations and reports call them, in this order.
inline constexpr std::array<std::string_view, 4> kScheduleNames = {"gpipe", "1f1b", "interleaved", "zero_bubble"};
inline std::string_view NameOf(ScheduleType type) { return kScheduleNames[static_cast<size_t>(type)]; }

// F, B, I or W of all groups of a virtual stage for one micro-batch.
struct StageTask {
  ActionKind kind;
  int virtual_stage = 0;
  int micro_batch = 0;
  int start = 0;  // in forwards of a virtual stage; B takes 2, the others 1
  int end = 0;
};

// The tasks of all ranks in order of their start.
std::vector<StageTask> OrderTraining(const StageLayout& layout, ScheduleType type, int num_micro_batches);
// The forwards alone.
std::vector<StageTask> OrderEvaluation(const StageLayout& layout, int num_micro_batches);

}  // namespace weft
