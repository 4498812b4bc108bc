// What a rank notes is what a reader sees: places, calls on communicators, times.
#include "parallel/rank_record.h"

#include <gtest/gtest.h>

#include <thread>

#include "parallel/process_mesh.h"
#include "parallel/record_text.h"
#include "parallel/thread_communicator.h"
#include "parallel/watched_communicator.h"

namespace weft {
namespace {

using Inside = CommunicatorRecord::Inside;

TEST(RankRecord, SaysWhereItsRankIs) {
  RankRecord record;
  EXPECT_EQ(Describe(record.Read().position), "starting");
  record.SetPlace({}, /*head_group=*/5);
  record.BeginStep(12);
  EXPECT_EQ(Describe(record.Read().position), "step 12, loading data");
  const std::pair<Action, const char*> places[] = {
      {{.kind = ActionKind::kForward, .group = 0, .micro_batch = 3},
       "step 12, micro-batch 3, forward of the embedding"},
      {{.kind = ActionKind::kBackwardInput, .group = 4, .micro_batch = 1},
       "step 12, micro-batch 1, input gradient of block 3"},
      {{.kind = ActionKind::kSendActivation, .group = 2, .micro_batch = 1, .peer = 1},
       "step 12, micro-batch 1, sending the output of block 1"},
      {{.kind = ActionKind::kReduce, .group = 5}, "step 12, reducing the gradients of the head"},
      {{.kind = ActionKind::kReduceVectors}, "step 12, reducing the gradients of norms and biases"}};
  for (const auto& [action, text] : places) {
    record.Enter(action);
    EXPECT_EQ(Describe(record.Read().position), text);
  }
  EXPECT_EQ(record.Read().position.place.phase, Phase::kTraining);
  record.Enter(Phase::kSaving);
  EXPECT_EQ(Describe(record.Read().position), "step 12, saving a checkpoint");
  record.Enter(Phase::kRollingBack);
  EXPECT_EQ(Describe(record.Read().position), "step 12, rolling back to a checkpoint");
}

TEST(RankRecord, ChangesWithEverythingThatComesForward) {
  RankRecord record;
  uint64_t last = record.num_changes();
  const auto changed = [&] { return std::exchange(last, record.num_changes()) != record.num_changes(); };
  EXPECT_FALSE(changed());
  record.BeginStep(1);
  EXPECT_TRUE(changed());
  record.Enter(Action{.kind = ActionKind::kForward});
  EXPECT_TRUE(changed());
  record.CountProgress();
  EXPECT_TRUE(changed());
  RankRecord::Calls& calls = record.AddCommunicator(1, "dp", 0, 2);
  calls.Begin({});
  EXPECT_TRUE(changed());
  calls.End();
  EXPECT_TRUE(changed());
}

TEST(RankRecord, KeepsTheNewestCalls) {
  RankRecord record;
  RankRecord::Calls& calls = record.AddCommunicator(9, "a long name", 1, 4);
  for (int64_t n = 1; n <= 6; ++n) {
    calls.Begin({.operation = Operation::kAllGather, .num_elements = 10 * n});
    if (n < 6) calls.End();
  }
  const CommunicatorRecord seen = record.Read().communicators[0];
  EXPECT_STREQ(seen.name, "a long ");
  EXPECT_EQ(seen.num_collectives, 6);
  EXPECT_EQ(seen.inside, Inside::kCollective);
  EXPECT_EQ(seen.Collective(6).num_elements, 60);
  EXPECT_EQ(seen.Collective(3).num_elements, 30);
  EXPECT_FALSE(seen.Remembers(2));
  EXPECT_FALSE(seen.Remembers(7));
}

TEST(RankRecord, LeavesWaitingOutOfARanksOwnWork) {
  RankRecord record;
  RankRecord::Calls& calls = record.AddCommunicator(1, "dp", 0, 2);
  for (int step = 1; step <= 4; ++step) {
    record.BeginStep(step);
    calls.Begin({});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    calls.End();
    record.EndStep(1.0);
  }
  const StepTimes times = record.Read().times;
  EXPECT_EQ(times.num_steps, 4);
  EXPECT_FLOAT_EQ(times.median_step, 1);
  EXPECT_LE(times.busy_quartiles[1], 0.98f);
  EXPECT_GE(times.busy_quartiles[1], 0.5f);
}

TEST(CurrentRecord, IsTheOneOfThisThread) {
  RankRecord record;
  SetCurrentRecord(&record);
  CurrentRecord().BeginStep(3);
  std::thread([] { CurrentRecord().BeginStep(4); }).join();  // nobody's
  SetCurrentRecord(nullptr);
  CurrentRecord().BeginStep(5);
  EXPECT_EQ(record.Read().position.place.step, 3);
}

// Whether streams run inline or as queues, a call is under way until the other rank has come.
TEST(WatchedCommunicator, NotesACallForAsLongAsItWaits) {
  for (const bool asynchronous : {false, true}) {
    RankRecord records[2];
    std::atomic<bool> is_checked = false;
    RunThreadRanks(2, [&](Communicator& world) {
      const int rank = world.rank();
      const std::unique_ptr<Communicator> watched = WatchCommunicator(world.Split(0, rank, "world"), records[rank]);
      const ProcessMesh mesh = MakeProcessMesh({.dp = 2}, *watched, *watched);
      const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu(), {.asynchronous = asynchronous});
      Tensor data({6}, DType::kF32);
      std::fill_n(data.data<float>(), 6, 1.0f);
      if (rank == 1) {
        while (!is_checked) std::this_thread::yield();
      }
      std::thread reader;
      if (rank == 0) {
        reader = std::thread([&] {
          const auto dp = [&] { return records[0].Read().communicators[1]; };
          while (dp().inside != Inside::kCollective) std::this_thread::yield();
          EXPECT_STREQ(dp().name, "dp");
          EXPECT_EQ(dp().Collective(dp().num_collectives).num_elements, 6);
          is_checked = true;
        });
      }
      mesh.dp->AllReduce(*stream, data);
      stream->Synchronize();
      if (reader.joinable()) reader.join();
      EXPECT_EQ(data.data<float>()[5], 2.0f);
      const CommunicatorRecord dp = records[rank].Read().communicators[1];
      EXPECT_EQ(dp.inside, Inside::kNothing);
      EXPECT_EQ(dp.num_collectives, 1);
    });
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(records[0].Read().communicators[i].id, records[1].Read().communicators[i].id);
    EXPECT_NE(records[0].Read().communicators[0].id, records[0].Read().communicators[1].id);
  }
}

}  // namespace
}  // namespace weft
