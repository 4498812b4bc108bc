// Splits one communicator along the axes of the mesh (see process_mesh.h).
#include "parallel/process_mesh.h"

#include "core/check.h"

namespace weft {
namespace {

// The ranks that share all indices but that on `axis`: the rank at its index 0 stands for the group.
std::unique_ptr<Communicator> SplitAlong(Axis axis, const ProcessMesh& mesh) {
  if (mesh.shape.extent(axis) == 1) return MakeSelfCommunicator(AxisName(axis));
  Coord first = mesh.coord;
  first.of(axis) = 0;
  return mesh.all->Split(mesh.shape.RankOf(first), mesh.coord.of(axis), AxisName(axis));
}

std::unique_ptr<Communicator> SplitTied(const ProcessMesh& mesh) {
  if (mesh.shape.pp == 1) return nullptr;
  Coord first = mesh.coord;
  first.of(Axis::kPp) = 0;
  const int stage = mesh.coord.of(Axis::kPp);
  const bool keeps_table = stage == 0 || stage == mesh.shape.pp - 1;
  return mesh.all->Split(keeps_table ? mesh.shape.RankOf(first) : -1, stage, "tied");
}

}  // namespace

ProcessMesh MakeProcessMesh(const MeshShape& shape, Communicator& world, Communicator& tensors) {
  WEFT_CHECK_EQ(shape.size(), world.size()) << "ranks of the mesh " << shape.ToString();
  WEFT_CHECK(tensors.size() == world.size() && tensors.rank() == world.rank())
      << "rank " << tensors.rank() << " of " << tensors.size() << " for tensors is rank " << world.rank() << " of "
      << world.size() << " on the host";
  ProcessMesh mesh;
  mesh.shape = shape;
  mesh.coord = shape.CoordOf(world.rank());
  mesh.world = &world;
  mesh.all = &tensors;
  mesh.pp = SplitAlong(Axis::kPp, mesh);
  mesh.dp = SplitAlong(Axis::kDp, mesh);
  mesh.tp = SplitAlong(Axis::kTp, mesh);
  mesh.tied = SplitTied(mesh);
  return mesh;
}

}  // namespace weft
