// StageLayout: which groups of the model each pipeline rank computes. A pure value.
//
// The model is cut into *virtual stages* of consecutive groups, dealt to the ranks in turn: number i runs on pp rank
// i % pp. Without interleaving each rank has one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/status.h"
#include "parallel/action.h"

namespace weft {

struct StageLayout {
  int pp = 1;
  std::vector<std::pair<int, int>> virtual_stages;  // groups [begin, end) of each, in order, tiling the model
  bool tied = false;                                // the head reads the embedding's table

  int num_virtual_stages() const { return static_cast<int>(virtual_stages.size()); }
  int num_groups() const { return virtual_stages.back().second; }
  int head_group() const { return num_groups() - 1; }
  bool IsBlock(int group) const { return group > 0 && group < head_group(); }

  int VirtualStageOf(int group) const;
  int RankOfGroup(int group) const { return VirtualStageOf(group) % pp; }
  bool IsFirstOfStage(int group) const;  // of its virtual stage
  bool IsLastOfStage(int group) const;

  // The parameter groups whose matrices `group` computes with: its own; for the head of a tied model the embedding's,
  // for it has no matrix of its own then.
  std::vector<int> ParamGroupsOf(int group) const;
  // Forward and backward read matrices. Weight gradients alone do not, nor does the embedding's backward.
  bool ReadsWeights(const Action& action) const;
  bool operator==(const StageLayout&) const = default;
};

// blocks_per_stage: one number a virtual stage; the first virtual stage has the embedding besides, the last one the head,
// so these two may have no blocks. Empty: as even as possible, and where it is not even the first and the last have fewer.
// Errors name the key of section `parallel`.
StatusOr<StageLayout> MakeStageLayout(int64_t num_blocks, int64_t pp, int64_t interleave,
                                      const std::vector<int64_t>& blocks_per_stage, bool tied);

// A line a rank: "rank 0: embedding, blocks 0-3 | blocks 8-11".
std::string ToString(const StageLayout& layout);

}  // namespace weft
