// What `weft inspect params CONFIG --memory` prints: the bytes of every rank, as users see them (launch/memory_report.h).
#include "launch/memory_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "model/params.h"
#include "tests/launch/job.h"
#include "trainer/model_setup.h"
#include "trainer/rank_memory.h"
#include "trainer/run_saves.h"
#include "trainer/schedule_setup.h"

namespace weft {
namespace {

using testing::HasSubstr;

struct TinyRun {
  RunConfig config;
  ModelConfig model;
};

TinyRun ReadTiny(const std::vector<std::string>& overrides, int num_ranks) {
  TinyRun run;
  const StatusOr<ConfigReport> report = ReadRunConfig({.path = "configs/tiny.yaml", .overrides = overrides}, num_ranks, run.config);
  EXPECT_TRUE(report.ok()) << report.status();
  const StatusOr<ModelConfig> model = ReadModel(run.config);
  EXPECT_TRUE(model.ok()) << model.status();
  run.model = *model;
  return run;
}

// What a rank allocates (tests/trainer/rank_memory_test.cc), with the plans that the trainer makes.
RankMemory MemoryOfRank(const TinyRun& run, const MeshShape& mesh, int rank) {
  const Coord coord = mesh.CoordOf(rank);
  const StatusOr<StageLayout> stages = StageLayoutOf(run.config, run.model);
  DecoderParams params = MakeDecoderParams(run.model);
  AssignStages(&params, *stages);
  const ShardPolicy policy = ShardPolicyOf(run.config, mesh.dp);
  const auto micro_batches = static_cast<int>(*run.config.gradient_accumulation_steps);
  const auto stage = static_cast<size_t>(coord.of(Axis::kPp));
  return MemoryOf(ParamLayout(params.specs, mesh, coord, LayoutOptionsOf(run.config)), *stages,
                  {MakeTrainingPlans(*stages, run.config.parallel.schedule, micro_batches, policy)[stage],
                   MakeEvaluationPlans(*stages, 1, policy)[stage]}, SavesAsynchronously(run.config));
}

// The whole numbers of the line that begins with a pp rank.
std::vector<size_t> RowOf(const std::string& text, int pp_rank) {
  std::istringstream lines(text.substr(text.find("pp rank  ")));
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::vector<size_t> numbers;
    size_t number = 0;
    while (words >> number) numbers.push_back(number);
    if (!numbers.empty() && numbers.front() == static_cast<size_t>(pp_rank)) return {numbers.begin() + 1, numbers.end()};
  }
  return {};
}

TEST(MemoryReport, GivesTheBytesOfEveryRank) {
  const std::vector<std::string> overrides = {"precision=bf16", "zero_optimization.stage=3", "parallel.pp=2", "parallel.tp=2",
                                              "zero_optimization.offload_optimizer.device=cpu"};
  const MeshShape mesh = {.pp = 2, .dp = 2, .tp = 2};
  const TinyRun run = ReadTiny(overrides, mesh.size());
  const StatusOr<std::string> text = MemoryReport(run.config, run.model, mesh.size());
  ASSERT_TRUE(text.ok()) << text.status();
  std::map<int, size_t> most_copied;  // by pp rank
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const RankMemory m = MemoryOfRank(run, mesh, rank);
    std::vector<size_t> row = RowOf(*text, mesh.CoordOf(rank).of(Axis::kPp));
    ASSERT_GE(row.size(), 8u) << *text;
    most_copied[mesh.CoordOf(rank).of(Axis::kPp)] = std::max(most_copied[mesh.CoordOf(rank).of(Axis::kPp)], m.snapshot);
    EXPECT_LE(m.snapshot, row[7]) << "rank " << rank << "\n" << *text;
    row.resize(7);  // after the copy rounded totals
    EXPECT_EQ(row, (std::vector<size_t>{m.weights, m.grads, m.masters, m.moments, m.gathered_weights, m.whole_grads, m.offload_ring}))
        << "rank " << rank << "\n" << *text;
  }
  for (const auto& [stage, bytes] : most_copied) EXPECT_EQ(RowOf(*text, stage)[7], bytes) << *text;
  EXPECT_THAT(*text, HasSubstr("masters*"));
  EXPECT_THAT(*text, HasSubstr("copy*"));
}

TEST(MemoryReport, LeavesOutWhatNoRankHas) {
  const TinyRun run = ReadTiny({"checkpoint.asynchronous=false"}, 1);
  const StatusOr<std::string> text = MemoryReport(run.config, run.model, 1);
  ASSERT_TRUE(text.ok()) << text.status();
  const RankMemory m = MemoryOfRank(run, {}, 0);
  std::vector<size_t> row = RowOf(*text, 0);
  row.resize(3);
  EXPECT_EQ(row, (std::vector<size_t>{m.weights, m.grads, m.moments})) << *text;
  for (const char* absent : {"masters", "gathered", "ring", "copy", "host"}) EXPECT_EQ(text->find(absent), std::string::npos) << *text;
}

TEST(MemoryReport, NamesWhatCannotBeCut) {
  const TinyRun run = ReadTiny({"parallel.pp=8"}, 8);
  const StatusOr<std::string> text = MemoryReport(run.config, run.model, 8);
  EXPECT_THAT(std::string(text.status().message()), HasSubstr("parallel.pp"));
}

TEST(InspectParams, ListsAModelAndPlansARun) {
  const JobResult list = RunWeft("inspect params configs/tiny.yaml");
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("parameters\n"));
  const JobResult memory = RunWeft("inspect params configs/tiny.yaml --memory --ranks 4 --set zero_optimization.stage=2");
  EXPECT_EQ(memory.exit_code, 0) << memory.err;
  EXPECT_THAT(memory.out, HasSubstr("mesh pp1 dp4 tp1 (4 ranks), ZeRO 2; bytes a rank"));
  const JobResult folder = RunWeft("inspect params tests/golden/llama/model");
  EXPECT_EQ(folder.exit_code, 0) << folder.err;
  const JobResult mistake = RunWeft("inspect params tests/golden/llama/model --memory");
  EXPECT_EQ(mistake.exit_code, 2);
  EXPECT_THAT(mistake.err, HasSubstr("model.path"));
}

}  // namespace
}  // namespace weft
