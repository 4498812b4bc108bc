// Jobs that stand still, as hand-made records: each has one rank to blame.
#include "parallel/stall_diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/str_cat.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kDp = 7, kPp = 8, kWorld = 1;

// A rank in step 12, at an action of its plan, for a minute.
RankReport Rank(int pp, int dp, const Action& action = {.kind = ActionKind::kForward, .group = 3, .micro_batch = 2}) {
  RankReport report;
  report.host = StrCat("node", dp);
  report.idle_s = 60;
  RankSnapshot& snapshot = report.snapshot.emplace();
  snapshot.position = {
      .place = {.step = 12, .phase = Phase::kTraining, .in_action = true, .action = action, .ordinal = 40},
      .head_group = 5};
  snapshot.position.coord.of(Axis::kPp) = pp;
  snapshot.position.coord.of(Axis::kDp) = dp;
  return report;
}

CommunicatorRecord& Join(RankReport& report, uint64_t id, const std::string& name, int rank, int size,
                         int64_t num_collectives) {
  CommunicatorRecord& record =
      report.snapshot->communicators[static_cast<size_t>(report.snapshot->num_communicators++)];
  record.id = id;
  name.copy(record.name, sizeof(record.name) - 1);
  record.rank = rank;
  record.size = size;
  record.num_collectives = num_collectives;
  for (int64_t n = std::max<int64_t>(1, num_collectives - 3); n <= num_collectives; ++n) {
    record.collectives[static_cast<size_t>(n % CommunicatorRecord::kHistory)] = {
        .operation = Operation::kAllReduce,
        .num_elements = 4096,
        .place = {.step = 12, .phase = Phase::kTraining, .ordinal = static_cast<uint32_t>(31 + n)}};
  }
  return record;
}

// Inside its newest collective.
void Wait(CommunicatorRecord& record) { record.inside = CommunicatorRecord::Inside::kCollective; }

void Transfer(CommunicatorRecord& record, Operation operation, int peer) {
  record.inside = CommunicatorRecord::Inside::kTransfer;
  record.transfer = {.operation = operation,
                     .peer = peer,
                     .num_elements = 64,
                     .place = {.step = 12, .phase = Phase::kTraining, .ordinal = 40}};
}

// Three replicas of which all but `late` are inside call 9 of dp.
std::vector<RankReport> Waiting(int late) {
  std::vector<RankReport> reports;
  for (int rank = 0; rank < 3; ++rank) {
    reports.push_back(Rank(0, rank));
    CommunicatorRecord& dp = Join(reports.back(), kDp, "dp", rank, 3, rank == late ? 8 : 9);
    if (rank != late) Wait(dp);
  }
  return reports;
}

TEST(StallDiagnosis, NamesTheRankThatComputesWhileTheOthersWait) {
  const StallDiagnosis diagnosis = DiagnoseStall(Waiting(1));
  EXPECT_EQ(diagnosis.culprit, 1);
  EXPECT_EQ(diagnosis.sentence,
            "rank 1 on host node1 (pp0 dp1 tp0) does not come forward in step 12, micro-batch 2, forward of block 2; "
            "2 other ranks wait for it, rank 0 in the all-reduce of 4096 f32 on dp in step 12, micro-batch 2, "
            "forward of block 2");
}

TEST(StallDiagnosis, FollowsAChainToItsEnd) {
  // 0 receives from 1 on pp; 1 waits on dp for 3, which computes; 2 receives from 3.
  std::vector<RankReport> reports = {Rank(0, 0), Rank(1, 0), Rank(0, 1), Rank(1, 1)};
  for (size_t dp = 0; dp < 2; ++dp) {
    for (size_t pp = 0; pp < 2; ++pp) {
      RankReport& report = reports[2 * dp + pp];
      CommunicatorRecord& pipeline = Join(report, kPp + dp, "pp", static_cast<int>(pp), 2, 0);
      if (pp == 0) Transfer(pipeline, Operation::kReceive, 1);
      CommunicatorRecord& replicas =
          Join(report, 100 + pp, "dp", static_cast<int>(dp), 2, pp == 1 && dp == 0 ? 3 : 2);
      if (pp == 1 && dp == 0) Wait(replicas);
    }
  }
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, 3);
  EXPECT_THAT(diagnosis.sentence, HasSubstr("3 other ranks wait for it"));
}

TEST(StallDiagnosis, NamesARankThatLeftOutACollectiveAndIsOneAhead) {
  std::vector<RankReport> reports = Waiting(2);
  for (RankReport& report : reports) Join(report, kWorld, "world", 0, 3, 4);
  reports[2].snapshot->position.place.phase = Phase::kUpdating;  // past it, and waiting for the others elsewhere
  reports[2].snapshot->position.place.in_action = false;
  reports[2].snapshot->position.place.ordinal = 44;
  CommunicatorRecord& world = reports[2].snapshot->communicators[1];
  ++world.num_collectives;
  world.collectives[static_cast<size_t>(world.num_collectives % 4)] = {
      .num_elements = 30, .place = {.step = 12, .phase = Phase::kUpdating}};
  Wait(world);
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, 2);
  EXPECT_THAT(diagnosis.sentence,
              AllOf(HasSubstr("rank 2 on host node2"), HasSubstr("has left out a collective of dp"),
                    HasSubstr("in step 12, updating the weights"), HasSubstr("call 9")));
}

TEST(StallDiagnosis, NamesARankWhoseCallIsAnother) {
  std::vector<RankReport> reports = Waiting(-1);
  reports[1].snapshot->communicators[0].collectives[9 % 4].num_elements = 128;
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, 1);
  EXPECT_THAT(diagnosis.sentence,
              AllOf(HasSubstr("its call 9 is the all-reduce of 128 f32"), HasSubstr("the all-reduce of 4096 f32")));
}

TEST(StallDiagnosis, NamesBothOfTwoRanksWhoseCallsDifferAtOnePlace) {
  std::vector<RankReport> reports = Waiting(-1);
  reports.pop_back();
  reports[1].snapshot->communicators[0].collectives[9 % 4].num_elements = 128;
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, -1);
  EXPECT_THAT(diagnosis.sentence,
              AllOf(HasSubstr("rank 0 on host node0"), HasSubstr("rank 1 on host node1"),
                    HasSubstr("have made different calls on dp, and either may be wrong: call 9 of rank 0 is the all-reduce of 4096"),
                    HasSubstr("that of rank 1 the all-reduce of 128 f32")));
}

TEST(StallDiagnosis, FindsAnOlderCallThatDiffersAndBlamesTheOneAheadOfTwo) {
  std::vector<RankReport> reports = Waiting(-1);
  reports.pop_back();
  // Rank 1 left out call 8: its eighth was made where the other made its ninth.
  CommunicatorRecord& ahead = reports[1].snapshot->communicators[0];
  for (CallRecord& call : ahead.collectives) ++call.place.ordinal;
  ahead.num_collectives = 8;
  ahead.collectives[9 % 4] = {.num_elements = 4096, .place = {.step = 11}};  // forgotten: number 5
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, 1) << diagnosis.sentence;
}

TEST(StallDiagnosis, NamesAStoppedProcessAndWhereItWas) {
  std::vector<RankReport> reports = Waiting(1);
  reports[1].answer = RankReport::Answer::kNone;
  reports[1].silent_s = 12;
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, 1);
  EXPECT_THAT(diagnosis.sentence,
              AllOf(HasSubstr("does not answer"), HasSubstr("12 s ago in step 12"), HasSubstr("2 other ranks wait")));
}

TEST(StallDiagnosis, NamesAProcessThatDied) {
  std::vector<RankReport> reports = Waiting(0);
  reports[0].answer = RankReport::Answer::kNoProcess;
  reports[0].snapshot.reset();  // nobody knows where it was
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, 0);
  EXPECT_THAT(diagnosis.sentence, HasSubstr("rank 0 on host node0 has died (killed, or out of memory)"));
}

TEST(StallDiagnosis, NamesARankThatHasFailed) {
  std::vector<RankReport> reports = Waiting(2);
  reports[2].has_failed = true;
  EXPECT_EQ(DiagnoseStall(reports).culprit, 2);
  EXPECT_THAT(DiagnoseStall(reports).sentence, HasSubstr("has failed"));
}

TEST(StallDiagnosis, NamesARankThatHasEnded) {
  std::vector<RankReport> reports = Waiting(2);
  reports[2].snapshot->position.place.phase = Phase::kEnded;
  reports[2].snapshot->position.place.in_action = false;
  reports[2].answer = RankReport::Answer::kNoProcess;
  EXPECT_EQ(DiagnoseStall(reports).culprit, 2);
  EXPECT_THAT(DiagnoseStall(reports).sentence, HasSubstr("has ended after step 12"));
}

TEST(StallDiagnosis, BlamesNobodyWhereAllAreInTheSameCall) {
  const StallDiagnosis diagnosis = DiagnoseStall(Waiting(-1));
  EXPECT_EQ(diagnosis.culprit, -1);
  EXPECT_THAT(diagnosis.sentence, HasSubstr("all 3 ranks stand in step 12"));
}

TEST(StallDiagnosis, SaysWhoWaitsForWhomInACircle) {
  std::vector<RankReport> reports = {Rank(0, 0), Rank(1, 0)};
  Transfer(Join(reports[0], kPp, "pp", 0, 2, 0), Operation::kReceive, 1);
  Transfer(Join(reports[1], kPp, "pp", 1, 2, 0), Operation::kReceive, 0);
  const StallDiagnosis diagnosis = DiagnoseStall(reports);
  EXPECT_EQ(diagnosis.culprit, -1);
  EXPECT_THAT(diagnosis.sentence,
              AllOf(HasSubstr("circle"), HasSubstr("the receive of 64 f32 from its rank 1 on pp")));
}

// --- Whether it is a stall at all
// -------------------------------------------------------------------------------------

TEST(IsStalled, WaitsForOneThatComesForward) {
  std::vector<RankReport> reports = Waiting(1);
  EXPECT_TRUE(IsStalled(reports, {}));
  reports[1].idle_s = 5;
  EXPECT_FALSE(IsStalled(reports, {}));
}

TEST(IsStalled, GivesSavesAndStartsMoreTime) {
  for (const Phase phase : {Phase::kSaving, Phase::kStarting, Phase::kRollingBack}) {
    std::vector<RankReport> reports = Waiting(1);
    for (RankReport& report : reports) report.snapshot->position.place.phase = phase;
    EXPECT_FALSE(IsStalled(reports, {}));
    for (RankReport& report : reports) report.idle_s = 301;
    EXPECT_TRUE(IsStalled(reports, {}));
  }
}

TEST(IsStalled, SeesASilentProcessInAnyPhaseWhileOthersGoOn) {
  std::vector<RankReport> reports = Waiting(1);
  for (RankReport& report : reports) report.snapshot->position.place.phase = Phase::kSaving;
  reports[1].answer = RankReport::Answer::kNone;
  reports[1].silent_s = 29;
  EXPECT_FALSE(IsStalled(reports, {}));
  reports[1].silent_s = 31;
  EXPECT_TRUE(IsStalled(reports, {}));
  reports[1].answer = RankReport::Answer::kUnheard;  // its messages never came through
  EXPECT_FALSE(IsStalled(reports, {}));
}

TEST(IsStalled, SeesADeadProcessSoonAndAnEndedOneNever) {
  std::vector<RankReport> reports = Waiting(1);
  for (RankReport& report : reports) report.idle_s = 0;
  reports[1].answer = RankReport::Answer::kNoProcess;
  reports[1].silent_s = 4;
  EXPECT_TRUE(IsStalled(reports, {}));
  reports[1].snapshot->position.place.phase = Phase::kEnded;
  EXPECT_FALSE(IsStalled(reports, {}));
}

}  // namespace
}  // namespace weft
