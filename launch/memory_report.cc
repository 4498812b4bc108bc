// The text of `weft inspect params --memory` (see memory_report.h).
#include "launch/memory_report.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/progress.h"
#include "core/str_cat.h"
#include "model/params.h"
#include "model/decoder.h"
#include "trainer/model_setup.h"
#include "trainer/rank_memory.h"
#include "trainer/run_saves.h"
#include "trainer/schedule_setup.h"

namespace weft {
namespace {

enum class Where { kDevice, kWithState, kHost };  // kWithState: in host memory where the optimizer is offloaded

// One column of the table; those that are zero on every rank are left out.
struct Column {
  const char* head[2];
  size_t RankMemory::*bytes;
  Where where = Where::kDevice;
  bool OnHost(const RankMemory& memory) const {
    return where == Where::kHost || (where == Where::kWithState && memory.state_on_host);
  }
};
constexpr Column kColumns[] = {{{"", "weights"}, &RankMemory::weights},
                               {{"", "gradients"}, &RankMemory::grads},
                               {{"", "masters"}, &RankMemory::masters, Where::kWithState},
                               {{"", "moments"}, &RankMemory::moments, Where::kWithState},
                               {{"gathered", "weights"}, &RankMemory::gathered_weights},
                               {{"whole", "gradients"}, &RankMemory::whole_grads},
                               {{"offload", "ring"}, &RankMemory::offload_ring, Where::kHost},
                               {{"save's", "copy"}, &RankMemory::snapshot, Where::kHost}};

// The most that a rank of pp rank `stage` copies for a save: replicas take turns in what they write.
size_t LargestSnapshot(const std::vector<ParamSpec>& specs, const MeshShape& mesh, int stage, const ParamLayoutOptions& options) {
  size_t largest = 0;
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const Coord coord = mesh.CoordOf(rank);
    if (coord.of(Axis::kPp) == stage) largest = std::max(largest, TrainStateSnapshot::BytesOf(ParamLayout(specs, mesh, coord, options)));
  }
  return largest;
}

// By pp rank: all ranks of a stage hold as much, but for the copy of a save, of which this has the largest.
std::vector<RankMemory> MemoryOfStages(const RunConfig& config, const ModelConfig& model, const MeshShape& mesh, const StageLayout& stages) {
  DecoderParams params = MakeDecoderParams(model);
  AssignStages(&params, stages);
  const auto micro_batches = static_cast<int>(*config.gradient_accumulation_steps);
  const ShardPolicy policy = ShardPolicyOf(config, mesh.dp);
  const std::vector<Plan> training = MakeTrainingPlans(stages, config.parallel.schedule, micro_batches, policy);
  const std::vector<Plan> evaluation = MakeEvaluationPlans(stages, micro_batches, policy);
  std::vector<RankMemory> memory;
  for (int stage = 0; stage < mesh.pp; ++stage) {
    Coord coord;
    coord.of(Axis::kPp) = stage;
    const auto i = static_cast<size_t>(stage);
    memory.push_back(MemoryOf(ParamLayout(params.specs, mesh, coord, LayoutOptionsOf(config)), stages, {training[i], evaluation[i]},
                              SavesAsynchronously(config)));
    if (SavesAsynchronously(config)) memory.back().snapshot = LargestSnapshot(params.specs, mesh, stage, LayoutOptionsOf(config));
  }
  return memory;
}

std::string Title(const RunConfig& config, const ModelConfig& model, const MeshShape& mesh) {
  const ZeroSection& zero = config.zero_optimization;
  std::string text = StrCat(NumParameters(model), " parameters in ", DTypeName(LayoutOptionsOf(config).compute_dtype), ", mesh ",
                            mesh.ToString(), " (", mesh.size(), mesh.size() == 1 ? " rank" : " ranks", ")");
  if (zero.stage > 0) StrAppend(&text, ", ZeRO ", zero.stage);
  if (zero.stage > 0 && mesh.dp == 1) StrAppend(&text, ", which shares nothing out with dp 1 (--ranks N shows more)");
  return text + "; bytes a rank\n\n";
}

bool UsesHost(const std::vector<RankMemory>& stages) {
  return std::any_of(stages.begin(), stages.end(), [](const RankMemory& memory) { return memory.host_bytes() > 0; });
}

std::string Table(const std::vector<RankMemory>& stages) {
  std::vector<Column> columns;
  for (const Column& column : kColumns) {
    const auto is_used = [&column](const RankMemory& memory) { return memory.*column.bytes > 0; };
    if (std::any_of(stages.begin(), stages.end(), is_used)) columns.push_back(column);
  }
  const bool on_host = UsesHost(stages);
  std::string table;
  const bool two_lines = std::any_of(columns.begin(), columns.end(), [](const Column& column) { return *column.head[0] != '\0'; });
  for (size_t line = two_lines ? 0 : 1; line < 2; ++line) {
    StrAppend(&table, line == 0 ? "       " : "pp rank");
    for (const Column& column : columns) {
      const bool marked = line == 1 && column.OnHost(stages.front());
      StrAppend(&table, absl::StrFormat("  %13s", StrCat(column.head[line], marked ? "*" : "")));
    }
    StrAppend(&table, line == 0 ? "" : on_host ? "    on device     on host" : "        total", "\n");
  }
  for (size_t stage = 0; stage < stages.size(); ++stage) {
    StrAppend(&table, absl::StrFormat("%7d", stage));
    for (const Column& column : columns) StrAppend(&table, absl::StrFormat("  %13d", stages[stage].*column.bytes));
    StrAppend(&table, absl::StrFormat("  %11s", HumanBytes(static_cast<double>(stages[stage].device_bytes()))));
    if (on_host) StrAppend(&table, absl::StrFormat("  %10s", HumanBytes(static_cast<double>(stages[stage].host_bytes()))));
    StrAppend(&table, "\n");
  }
  return table;
}

}  // namespace

StatusOr<std::string> MemoryReport(const RunConfig& config, const ModelConfig& model, int num_ranks) {
  WEFT_ASSIGN_OR_RETURN(const StageLayout stages, StageLayoutOf(config, model));
  const auto pp = static_cast<int>(config.parallel.pp), tp = static_cast<int>(config.parallel.tp);
  const MeshShape mesh = {.pp = pp, .dp = num_ranks / (pp * tp), .tp = tp};
  WEFT_RETURN_IF_ERROR(CheckTensorParallel(model, tp, *config.train_micro_batch_size_per_gpu * config.data.sequence_length));
  const std::vector<RankMemory> memory = MemoryOfStages(config, model, mesh, stages);
  std::string text = StrCat(Title(config, model, mesh), ToString(stages), "\n", Table(memory), "\n");
  if (UsesHost(memory)) {
    StrAppend(&text, "* in host memory: times the ranks that share a host.", memory.front().offload_ring > 0 ? " The ring is page-locked." : "", "\n");
  }
  if (memory.front().snapshot > 0) {
    StrAppend(&text, "A save's copy (checkpoint.asynchronous) is that of the stage's rank that writes most; page-locked where there is a GPU.\n");
  }
  return text + "Activations, the kernels' scratch and the buffers of libraries come on top.\n";
}

}  // namespace weft
