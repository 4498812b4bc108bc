// The communicators of a mesh hold the ranks that the pure mesh names, in its order, for every small mesh.
#include "parallel/process_mesh.h"

#include <gtest/gtest.h>

#include "parallel/thread_communicator.h"

namespace weft {
namespace {

// The world ranks of a communicator, in its order.
std::vector<int> MembersOf(Communicator& communicator, int world_rank, Stream& stream) {
  Tensor mine({1}, DType::kI64), all({communicator.size()}, DType::kI64);
  mine.data<int64_t>()[0] = world_rank;
  communicator.AllGather(stream, mine, all);
  stream.Synchronize();
  return {all.data<int64_t>(), all.data<int64_t>() + communicator.size()};
}

void CheckMesh(const MeshShape& shape) {
  RunThreadRanks(shape.size(), [&](Communicator& world) {
    SCOPED_TRACE(shape.ToString());
    const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
    const ProcessMesh mesh = MakeProcessMesh(shape, world, world);
    EXPECT_EQ(mesh.coord, shape.CoordOf(world.rank()));
    EXPECT_EQ(mesh.world, &world);
    EXPECT_EQ(mesh.all, &world);
    for (const auto& [axis, communicator] :
         {std::pair(Axis::kPp, mesh.pp.get()), {Axis::kDp, mesh.dp.get()}, {Axis::kTp, mesh.tp.get()}}) {
      EXPECT_EQ(communicator->name(), AxisName(axis));
      EXPECT_EQ(communicator->rank(), mesh.coord.of(axis));
      EXPECT_EQ(MembersOf(*communicator, world.rank(), *stream), shape.Peers(mesh.coord, axis));
    }
    const std::vector<int> stages = shape.Peers(mesh.coord, Axis::kPp);
    const bool keeps_table = shape.pp > 1 && (world.rank() == stages.front() || world.rank() == stages.back());
    ASSERT_EQ(mesh.tied != nullptr, keeps_table);
    if (!keeps_table) return;
    EXPECT_EQ(mesh.tied->name(), "tied");
    EXPECT_EQ(mesh.tied->rank(), world.rank() == stages.front() ? 0 : 1);
    EXPECT_EQ(MembersOf(*mesh.tied, world.rank(), *stream), (std::vector<int>{stages.front(), stages.back()}));
  });
}

TEST(ProcessMesh, HasThePeersOfEveryAxis) {
  for (int pp : {1, 2, 3}) {
    for (int dp : {1, 2}) {
      for (int tp : {1, 2}) CheckMesh({.pp = pp, .dp = dp, .tp = tp});
    }
  }
}

TEST(ProcessMesh, OtherAxesKeepGroupsApart) {
  CheckMesh({.pp = 2, .dp = 2, .cp = 2});
  CheckMesh({.dp = 2, .ep = 3, .tp = 2});
}

TEST(ProcessMeshDeathTest, AMeshOfAnotherSizeIsABug) {
  const std::unique_ptr<Communicator> self = MakeSelfCommunicator();
  EXPECT_DEATH(MakeProcessMesh({.dp = 2}, *self, *self), "ranks of the mesh");
}

}  // namespace
}  // namespace weft
