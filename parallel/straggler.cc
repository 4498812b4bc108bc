// Compares ranks by the quartiles of their own work (see straggler.h).
#include "parallel/straggler.h"

#include <algorithm>
#include <map>

namespace weft {
namespace {

constexpr int kFewestSteps = 20;
constexpr float kClearlySlower = 1.2f;

struct RankTimes {
  int rank;
  const StepTimes* times;
};

std::optional<Straggler> SlowestOfStage(std::vector<RankTimes> stage) {
  if (stage.size() < 2) return std::nullopt;
  std::sort(stage.begin(), stage.end(), [](const RankTimes& a, const RankTimes& b) {
    return a.times->busy_quartiles[1] < b.times->busy_quartiles[1];
  });
  const StepTimes& slowest = *stage.back().times;
  const StepTimes& typical = *stage[(stage.size() - 1) / 2].times;
  const bool is_clear = slowest.busy_quartiles[1] >= kClearlySlower * typical.busy_quartiles[1] &&
                        slowest.busy_quartiles[0] > typical.busy_quartiles[2];
  if (!is_clear) return std::nullopt;
  return Straggler{stage.back().rank, slowest.busy_quartiles[1], typical.busy_quartiles[1]};
}

}  // namespace

std::optional<Straggler> FindStraggler(const std::vector<std::optional<RankSnapshot>>& snapshots) {
  std::map<int, std::vector<RankTimes>> stages;
  for (size_t rank = 0; rank < snapshots.size(); ++rank) {
    if (!snapshots[rank].has_value() || snapshots[rank]->times.num_steps < kFewestSteps) continue;
    stages[snapshots[rank]->position.coord.of(Axis::kPp)].push_back(
        {static_cast<int>(rank), &snapshots[rank]->times});
  }
  std::optional<Straggler> slowest;
  for (const auto& [stage, ranks] : stages) {
    const std::optional<Straggler> found = SlowestOfStage(ranks);
    if (!found.has_value()) continue;
    if (!slowest.has_value() || found->busy_s - found->others_s > slowest->busy_s - slowest->others_s)
      slowest = found;
  }
  return slowest;
}

}  // namespace weft
