// The text of `weft inspect schedule` (see schedule_report.h).
#include "launch/schedule_report.h"

#include "absl/strings/str_format.h"
#include "core/check.h"
#include "core/str_cat.h"
#include "parallel/plan_peaks.h"
#include "trainer/schedule_setup.h"

namespace weft {
namespace {

// Compute by multiplications: of a block those of its matrices and, per token, of attention with half the sequence on
// average; of the head those of the vocabulary, in the forward and twice in the backward.
GroupCosts CostsOf(const RunConfig& config, const ModelConfig& model) {
  const auto d = static_cast<double>(model.hidden_size), q = static_cast<double>(model.q_dim());
  const double matrices = d * (2 * q + 2 * static_cast<double>(model.kv_dim()) +
                               static_cast<double>(model.up_dim() + model.intermediate_size));
  const double block = matrices + q * static_cast<double>(config.data.sequence_length);
  GroupCosts costs;
  if (config.recompute == Recompute::kBlock) costs.backward_input += costs.forward;
  costs.head = 3 * d * static_cast<double>(model.vocab_size) / block;
  return costs;
}

std::string Title(const RunConfig& config, int dp) {
  const ParallelSection& p = config.parallel;
  const int64_t micro_batches = *config.gradient_accumulation_steps;
  std::string text = StrCat(NameOf(p.schedule), ": ", micro_batches, " micro-batch",
                            micro_batches == 1 ? "" : "es", " a step over pp ", p.pp, ", dp ", dp, ", tp ", p.tp, "; ");
  const ZeroSection& zero = config.zero_optimization;
  if (zero.stage == 0) return text + "nothing is sharded\n\n";
  StrAppend(&text, "ZeRO ", zero.stage);
  if (dp == 1) return text + " has no effect with dp 1; --ranks N shows it with more\n\n";
  if (zero.stage == 3) StrAppend(&text, ", reshard ", NameOf(zero.reshard));
  return text + StrCat(", prefetch ", zero.prefetch, "\n\n");
}

std::string Table(const StageLayout& layout, const std::vector<Plan>& plans, const Simulation& simulation) {
  std::string table = "pp rank    waits    block     head  residual  pending  gathered\n"
                      "                   stashes  stashes     grads  weights    groups\n";
  for (size_t rank = 0; rank < plans.size(); ++rank) {
    const Peaks peaks = MeasurePeaks(plans[rank], layout);
    const double waits = simulation.makespan == 0 ? 0 : 1 - simulation.busy[rank] / simulation.makespan;
    StrAppend(&table, absl::StrFormat("%7d  %5.1f %%  %7d  %7d  %8d  %7d  %8d\n", rank, 100 * waits, peaks.block_stashes,
                                      peaks.head_stashes, peaks.residual_grads, peaks.pending_weights, peaks.gathered_groups));
  }
  return table;
}

}  // namespace

StatusOr<std::string> ScheduleReport(const RunConfig& config, const ModelConfig& model, int num_ranks,
                                     const ScheduleReportOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const StageLayout layout, StageLayoutOf(config, model));
  const int dp = num_ranks / static_cast<int>(config.parallel.pp * config.parallel.tp);
  const auto num_micro_batches = static_cast<int>(*config.gradient_accumulation_steps);
  const std::vector<Plan> plans =
      MakeTrainingPlans(layout, config.parallel.schedule, num_micro_batches, ShardPolicyOf(config, dp));
  const GroupCosts costs = CostsOf(config, model);
  const Simulation simulation = Simulate(plans, layout, costs);
  WEFT_CHECK(simulation.deadlock.empty()) << simulation.DeadlockText();

  std::string text = StrCat(Title(config, dp), ToString(layout), "\n", Draw(plans, layout, simulation, options.drawing), "\n");
  StrAppend(&text, absl::StrFormat("A step takes %.4g forwards of a block; ranks wait %.1f %% of it (the bubble). "
                                   "Backward counts %.3g forwards, the head %.3g.\n\n",
                                   simulation.makespan, 100 * simulation.BubbleShare(),
                                   costs.backward_input + costs.backward_weight, costs.head));
  StrAppend(&text, Table(layout, plans, simulation));
  for (size_t rank = 0; options.actions && rank < plans.size(); ++rank) {
    StrAppend(&text, "\nrank ", rank, ": ", ToString(plans[rank]), "\n");
  }
  return text;
}

}  // namespace weft
