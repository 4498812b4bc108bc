// Gathers, releases and reductions of parameters: the last pass of a schedule. They are actions like any other, so what
// ZeRO moves, when, and how much is whole at once can be read off a plan.
#pragma once

#include <array>
#include <string_view>

#include <cstdint>

#include "parallel/stage_layout.h"

namespace weft {

// ZeRO 3: how long the gathered weights of a group stay. A group whose next gather would be due at once stays anyway.
enum class Reshard : uint8_t {
  kPerUse,         // for one compute action
  kPerMicroBatch,  // from a micro-batch's first use, its forward, to its last, its backward
  kPerStep,        // to the last use of the plan
};
inline constexpr std::array<std::string_view, 3> kReshardNames = {"per_use", "per_micro_batch", "per_step"};
inline std::string_view NameOf(Reshard reshard) { return kReshardNames[static_cast<size_t>(reshard)]; }

struct ShardPolicy {
  int zero_stage = 0;  // the effective one: 0 where there is one data-parallel rank
  Reshard reshard = Reshard::kPerMicroBatch;
  int prefetch = 1;    // a gather stands this many compute actions before the one that needs it, where it can
};

// One rank's plan of compute and transfers, with these besides (see action.h):
//   G  ZeRO 1 and 2: once, before a group's first use. ZeRO 3: before each use that does not find it whole.
//   X  ZeRO 3: after the last use before it is let go.
//   R  ZeRO 0 and 1: once, after the group's last gradient. ZeRO 2 and 3: after each gradient, of every micro-batch.
//   T, V  at the end of a training plan.
Plan PlanParams(const StageLayout& layout, const ShardPolicy& policy, int rank, const Plan& plan);

}  // namespace weft
