// Cutting the model into stages (see stage_layout.h).
#include "parallel/stage_layout.h"

#include <algorithm>

#include "core/check.h"
#include "core/str_cat.h"

namespace weft {
namespace {

// The rest of the division goes to the stages in the middle first, then to the first one, which has the embedding, and
// never to the last, whose head costs as much as several blocks.
std::vector<int64_t> EvenBlocks(int64_t num_blocks, int64_t num_stages) {
  std::vector<int64_t> blocks(static_cast<size_t>(num_stages), num_blocks / num_stages);
  int64_t rest = num_blocks % num_stages;
  for (size_t stage = 1; stage + 1 < blocks.size() && rest > 0; ++stage, --rest) ++blocks[stage];
  blocks[0] += rest;  // 0 or 1
  return blocks;
}

Status CheckStages(int64_t num_blocks, int64_t pp, int64_t interleave) {
  if (pp < 1) return UserError("parallel.pp: ", pp, " stages; give 1 or more");
  if (interleave < 1) return UserError("parallel.interleave: ", interleave, " virtual stages a rank; give 1 or more");
  if (pp == 1 && interleave > 1) {
    return UserError("parallel.interleave: ", interleave, " virtual stages a rank need parallel.pp of 2 or more, which is 1");
  }
  // Each stage has a block but the first, with the embedding, and the last, with the head.
  const int64_t most = num_blocks + 2;
  if (pp > most) return UserError("parallel.pp: the model's ", num_blocks, " blocks make ", most, " stages at most, not ", pp);
  if (interleave > most / pp) {
    return UserError("parallel.interleave: the model's ", num_blocks, " blocks make ", most, " stages at most; parallel.pp ", pp,
                     " times ", interleave, " are more");
  }
  return absl::OkStatus();
}

Status CheckBlocks(int64_t num_blocks, const std::vector<int64_t>& blocks, int64_t num_stages) {
  const char* const key = "parallel.blocks_per_stage";
  if (static_cast<int64_t>(blocks.size()) != num_stages) {
    return UserError(key, ": ", blocks.size(), " numbers for ", num_stages,
                     " virtual stages (parallel.pp times parallel.interleave); give one for each");
  }
  int64_t sum = 0;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int64_t count = blocks[stage];
    if (count < 0) return UserError(key, ": ", count, " blocks; give 0 or more");
    if (count == 0 && stage > 0 && stage + 1 < blocks.size()) {
      return UserError(key, ": stage ", stage, " of ", num_stages,
                       " has none; only the first stage (embedding) and the last (head) can do without");
    }
    if (count > num_blocks) return UserError(key, ": ", count, " blocks, but the model has ", num_blocks);
    sum += count;
  }
  if (sum != num_blocks) return UserError(key, ": ", sum, " blocks in all, but the model has ", num_blocks);
  return absl::OkStatus();
}

std::string ToString(const StageLayout& layout, std::pair<int, int> groups) {
  std::string text;
  const auto append = [&text](const std::string& part) { StrAppend(&text, text.empty() ? "" : ", ", part); };
  const int first = std::max(groups.first, 1) - 1, last = std::min(groups.second, layout.head_group()) - 2;  // blocks
  if (groups.first == 0) append("embedding");
  if (first == last) append(StrCat("block ", first));
  if (first < last) append(StrCat("blocks ", first, "-", last));
  if (groups.second == layout.num_groups()) append("head");
  return text;
}

}  // namespace

int StageLayout::VirtualStageOf(int group) const {
  WEFT_CHECK(group >= 0 && group < num_groups()) << "group " << group << " of " << num_groups();
  int stage = 0;
  while (group >= virtual_stages[static_cast<size_t>(stage)].second) ++stage;
  return stage;
}

bool StageLayout::IsFirstOfStage(int group) const {
  return virtual_stages[static_cast<size_t>(VirtualStageOf(group))].first == group;
}

bool StageLayout::IsLastOfStage(int group) const {
  return virtual_stages[static_cast<size_t>(VirtualStageOf(group))].second == group + 1;
}

std::vector<int> StageLayout::ParamGroupsOf(int group) const { return {tied && group == head_group() ? 0 : group}; }

bool StageLayout::ReadsWeights(const Action& action) const {
  if (action.kind == ActionKind::kForward) return true;
  return (action.kind == ActionKind::kBackward || action.kind == ActionKind::kBackwardInput) && action.group != 0;
}

StatusOr<StageLayout> MakeStageLayout(int64_t num_blocks, int64_t pp, int64_t interleave,
                                      const std::vector<int64_t>& blocks_per_stage, bool tied) {
  WEFT_RETURN_IF_ERROR(CheckStages(num_blocks, pp, interleave));
  const int64_t num_stages = pp * interleave;
  const std::vector<int64_t> blocks = blocks_per_stage.empty() ? EvenBlocks(num_blocks, num_stages) : blocks_per_stage;
  WEFT_RETURN_IF_ERROR(CheckBlocks(num_blocks, blocks, num_stages));
  StageLayout layout = {.pp = static_cast<int>(pp), .virtual_stages = {}, .tied = tied};
  int group = 1;
  for (const int64_t count : blocks) {
    layout.virtual_stages.emplace_back(group, group + static_cast<int>(count));
    group += static_cast<int>(count);
  }
  layout.virtual_stages.front().first = 0;
  layout.virtual_stages.back().second = group + 1;
  return layout;
}

std::string ToString(const StageLayout& layout) {
  std::string text;
  for (int rank = 0; rank < layout.pp; ++rank) {
    StrAppend(&text, "rank ", rank, ": ");
    for (int stage = rank; stage < layout.num_virtual_stages(); stage += layout.pp) {
      StrAppend(&text, stage == rank ? "" : " | ", ToString(layout, layout.virtual_stages[static_cast<size_t>(stage)]));
    }
    StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace weft
